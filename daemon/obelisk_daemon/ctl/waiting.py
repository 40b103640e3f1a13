"""Waiting for a result, and following what happens until it is there."""

from collections.abc import Callable
from typing import Any, Final, TypeAlias, cast

from obelisk_daemon.ctl.client import Client, segment
from obelisk_daemon.ctl.failure import TIMED_OUT, CtlError
from obelisk_daemon.ctl.narration import time_of, told
from obelisk_daemon.ctl.streaming import messages

PAGE: Final = 500
Result: TypeAlias = dict[str, Any]


def await_result(client: Client, execution_id: str) -> dict[str, Any]:
    """Wait for the result.

    Raises:
        CtlError: the time is over; the execution goes on.
    """
    path = f"/v1/executions/{segment(execution_id)}/result"
    try:
        while True:
            answer = client.get(path, wait=client.wait_seconds())
            if answer.status == 200:
                return cast(dict[str, Any], answer.document)
    except CtlError as error:
        if error.exit_code != TIMED_OUT:
            raise
        raise CtlError(
            TIMED_OUT,
            "timed_out",
            f"{execution_id} has not finished in time; `obelisk-ctl result {execution_id} --wait` waits on",
            {"execution_id": execution_id},
        ) from error


def follow_events(client: Client, execution_id: str, show: Callable[[str], None], *, logs: bool = False) -> Result:
    """Show events and responses, in the order of their times, until the execution has finished; give its result."""
    path = f"/v1/executions/{segment(execution_id)}/follow"
    for message in messages(client, path, logs="true" if logs else None):
        match message.event:
            case "event" | "response":
                show(told(message.data))
            case "log":
                show(f"{time_of(message.data)}  {message.data['level']:<22} {message.data['message']}")
            case "finished":
                return cast(Result, message.data["result"])
    raise AssertionError("a stream goes on until it has finished")


def follow_logs(client: Client, execution_id: str, show: Callable[[dict[str, Any]], None]) -> None:
    """Show log lines until the execution has finished."""
    path = f"/v1/executions/{segment(execution_id)}/logs"
    after = 0
    while True:
        page = client.get(path, after=after, limit=PAGE, wait=client.wait_seconds()).document
        for line in page["logs"]:
            show(line)
        after = page["next"]
        if page["finished"] and len(page["logs"]) < PAGE:
            return
