"""`obelisk-ctl show`, `events`, `logs` and `result`."""

from typing import Annotated, Any, Final

import typer

from obelisk_daemon.ctl.failure import OK, TIMED_OUT, CtlError
from obelisk_daemon.ctl.listing import state_of
from obelisk_daemon.ctl.output import to_text
from obelisk_daemon.ctl.session import Session, command, result_exit_code

_PAGE: Final = 500
IdArgument = Annotated[str, typer.Argument(metavar="ID", help="The execution's id.")]

LimitOption = Annotated[int | None, typer.Option("--limit", min=1, metavar="N", help="How many at most.")]


def register(app: typer.Typer) -> None:
    """Add the commands."""
    for name, function in (
        ("show", show),
        ("events", events),
        ("responses", responses),
        ("logs", logs),
        ("result", result),
    ):
        command(app, name)(function)


def show(session: Session, execution_id: IdArgument) -> int:
    """Show one execution: its state, result, and why it failed or is paused."""
    document = session.client.get(path_of(execution_id)).document
    if session.output.as_json:
        session.output.document(document)
        return OK
    failure = document.pop("failure", None) or {}
    more = [name for name in ("stderr", "http", "http_left_out") if failure.pop(name, None)]
    parent = document.pop("parent", None) or {}
    params = document.pop("params", None)
    result = document.pop("result", None)
    session.output.fields(
        document
        | {"parent": parent.get("execution_id")}
        | {"params": None if params is None else to_text(params), "result": result and to_text(result)}
        | {f"failure {name}": value for name, value in failure.items()}
        | {"failure more": f"obelisk-ctl error {failure['failure_id']}" if more or "cause" in failure else None}
    )
    return OK


def events(
    session: Session,
    execution_id: IdArgument,
    first: Annotated[int, typer.Option("--from", min=0, metavar="VERSION", help="The first version wanted.")] = 0,
    limit: LimitOption = None,
    export: Annotated[
        str | None, typer.Option("--export", metavar="FILE", help="Write the whole log there, for `replay --log`.")
    ] = None,
) -> int:
    """Print the execution's log: every event, oldest first."""
    if export is not None:
        from obelisk_daemon.ctl.replaying import export_log

        return export_log(session, execution_id, export)
    from obelisk_daemon.ctl.narration import details, time_of, verb

    found = _read_log(session, execution_id, "events", first, limit)
    if session.output.as_json:
        session.output.document({"events": found})
        return OK
    rows = [
        (str(event["version"]), time_of(event), event["type"], f"{verb(event)} {details(event)}".strip())
        for event in found
    ]
    session.output.table(("VERSION", "TIME", "TYPE", "DETAILS"), rows)
    return OK


def responses(
    session: Session,
    execution_id: IdArgument,
    first: Annotated[int, typer.Option("--from", min=1, metavar="SEQ", help="The first one wanted.")] = 1,
    limit: LimitOption = None,
) -> int:
    """Print what the children and delays of a workflow delivered, in the order in which it sees them."""
    from obelisk_daemon.ctl.narration import details, time_of

    found = _read_log(session, execution_id, "responses", first, limit)
    if session.output.as_json:
        session.output.document({"responses": found})
        return OK
    rows = [(str(one["seq"]), time_of(one), one["join_set"], one["type"], details(one)) for one in found]
    session.output.table(("SEQ", "TIME", "JOIN SET", "TYPE", "DETAILS"), rows)
    return OK


def _read_log(session: Session, execution_id: str, what: str, first: int, limit: int | None) -> list[dict[str, Any]]:
    """Read events or responses from one on: all, or so many."""
    found: list[dict[str, Any]] = []
    while limit is None or len(found) < limit:
        wanted = _PAGE if limit is None else min(_PAGE, limit - len(found))
        path = f"{path_of(execution_id)}/{what}"
        page = session.client.get(path, from_=first + len(found), limit=wanted).document[what]
        if not page:
            break
        found += page  # fewer than wanted where they are large
    return found


def logs(
    session: Session,
    execution_id: IdArgument,
    *,
    follow: Annotated[bool, typer.Option("--follow", help="Go on until the execution has finished.")] = False,
) -> int:
    """Print what the execution's guest logged and wrote."""
    found: list[dict[str, Any]] = []

    def take(line: dict[str, Any]) -> None:
        if session.output.as_json:
            found.append(line)
        session.output.line(f"{line['created_at'][:23]}Z  {line['level']:<6} {line['message']}")

    if follow:
        from obelisk_daemon.ctl.waiting import follow_logs

        follow_logs(session.client, execution_id, take)
    else:
        _read_logs(session, execution_id, take)
    if session.output.as_json:
        session.output.document({"logs": found})
    return OK


def _read_logs(session: Session, execution_id: str, take: Any) -> None:
    after = 0
    while True:
        page = session.client.get(f"{path_of(execution_id)}/logs", after=after, limit=_PAGE).document
        for line in page["logs"]:
            take(line)
        after = page["next"]
        if len(page["logs"]) < _PAGE:
            return


def result(
    session: Session,
    execution_id: IdArgument,
    *,
    wait: Annotated[bool, typer.Option("--wait", help="Wait until it is there.")] = False,
) -> int:
    """Print the result; the exit code is 0 for ok, 1 for an error or a failure, 75 when there is none yet."""
    if wait:
        from obelisk_daemon.ctl.waiting import await_result

        found = await_result(session.client, execution_id)
    else:
        answer = session.client.get(f"{path_of(execution_id)}/result")
        if answer.status != 200:
            raise CtlError(
                TIMED_OUT,
                "not_finished",
                f"{execution_id} has not finished, it is {state_of(answer.document)}; --wait waits for it",
                answer.document,
            )
        found = answer.document
    session.output.document(found)
    return result_exit_code(found)


def path_of(execution_id: str) -> str:
    """Give the path of an execution in the API.

    Raises:
        CallerError: it is no id.
    """
    from obelisk_daemon.ctl.client import segment
    from obelisk_daemon.ids import parse_execution_id

    return f"/v1/executions/{segment(parse_execution_id(execution_id))}"
