"""Waiting for a result, and following what happens until it is there."""

from collections.abc import Callable
from typing import Any, Final, cast

from obelisk_daemon.ctl.client import Client, segment
from obelisk_daemon.ctl.failure import TIMED_OUT, CtlError
from obelisk_daemon.ctl.narration import Event, told

PAGE: Final = 500


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


def follow_events(client: Client, execution_id: str, show: Callable[[str], None]) -> None:
    """Show events and responses, in the order of their times, until the execution has finished."""
    path = f"/v1/executions/{segment(execution_id)}/events"
    version, seq = 0, 1
    while True:
        wait = client.wait_seconds()
        page = client.get(path, from_=version, responses_from=seq, limit=PAGE, wait=wait).document
        happened: list[Event] = page["events"] + page["responses"]
        for event in sorted(happened, key=lambda event: str(event["created_at"])):
            show(told(event))
        version, seq = page["next"], page["next_response"]
        if page["finished"] and len(page["events"]) < PAGE and len(page["responses"]) < PAGE:
            return


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
