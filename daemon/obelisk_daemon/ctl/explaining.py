"""`obelisk-ctl error`."""

from typing import Annotated, Any

import typer

from obelisk_daemon.ctl.failure import OK
from obelisk_daemon.ctl.output import Output
from obelisk_daemon.ctl.session import Session, command


def register(app: typer.Typer) -> None:
    """Add the command."""
    command(app, "error")(error)


def error(
    session: Session, failure_id: Annotated[str, typer.Argument(metavar="Err_...", help="The id of a failure.")]
) -> int:
    """Explain a failure: its message, its backtrace, what the attempt wrote and asked for, and what caused it."""
    from obelisk_daemon.ctl.client import segment

    document = session.client.get(f"/v1/failures/{segment(failure_id)}").document
    output = session.output
    if output.as_json:
        output.document(document)
        return OK
    causes = document.pop("causes", [])
    _print(output, document)
    for cause in causes:
        output.line("")
        output.line("caused by")
        _print(output, cause)
    last = causes[-1] if causes else document
    if "cause" in last:
        output.line("")
        output.line(f"caused by {last['cause']}")
    return OK


def _print(output: Output, failure: dict[str, Any]) -> None:
    requests = [_request(request) for request in failure.get("http", [])]
    if failure.get("http_left_out"):
        requests.insert(0, f"({failure['http_left_out']} earlier ones are left out)")
    output.fields(
        {
            "failure": f"{failure['failure_id']}  {failure['kind']}",
            "execution": failure["execution_id"],
            "message": failure["message"],
            "backtrace": failure.get("backtrace"),
            "stderr": failure.get("stderr"),
            "http": "\n".join(requests),
        }
    )


def _request(request: dict[str, Any]) -> str:
    came = request["status"] if "status" in request else request.get("error", "no answer")
    if "status" in request and "error" in request:
        came = f"{came}, {request['error']}"
    reason = f" ({request['reason']})" if "reason" in request else ""
    return f"{request['method']} {request['url']} -> {came}{reason} after {request['duration_ms']:g} ms"
