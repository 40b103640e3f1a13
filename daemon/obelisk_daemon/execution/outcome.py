"""How an execution ends: values, never exceptions."""

from typing import Literal, TypeAlias

import msgspec

from obelisk_daemon.clock import Instant
from obelisk_daemon.ids import FailureId

FailureKind: TypeAlias = Literal[
    "timed_out",
    "trap",
    "out_of_fuel",
    "out_of_memory",
    "limit_exceeded",
    "nondeterminism",
    "cancelled",
    "child_failed",
    "evicted",
    "rejected",
    "uncategorized",
]
"""Exact in the API; `projection` maps them to the five kinds of the host interface."""
Ending: TypeAlias = Literal["ok", "err"] | FailureKind
"""How an execution ended: with its function's result, or why there is none."""


class Returned(msgspec.Struct, frozen=True, tag="returned", tag_field="t", gc=False):
    """The function returned.

    `value` is `{"ok": v}` or `{"err": v}`; a function without a `result` type gives `{"ok": v}`, v None without any
    result.
    """

    value: dict[str, object]

    @property
    def is_ok(self) -> bool:
        """Tell a success from an error of the function's own."""
        return "ok" in self.value


class Failed(msgspec.Struct, frozen=True, tag="failed", tag_field="t", gc=False):
    """The function did not return: why, in a sentence, and the id of the recorded failure."""

    kind: FailureKind
    failure_id: FailureId
    reason: str


Outcome: TypeAlias = Returned | Failed


def ending_of(outcome: Outcome) -> Ending:
    """Name how an execution ended."""
    if isinstance(outcome, Returned):
        return "ok" if outcome.is_ok else "err"
    return outcome.kind


class HttpExchange(msgspec.Struct, frozen=True, array_like=True):
    """One HTTP request of a failed attempt, whether it was sent or refused. `reason` says in words what `error` was."""

    method: str
    url: str
    started_at: Instant
    duration_us: int
    status: int | None = None
    error: str | None = None
    reason: str | None = None
    request_bytes: int = 0
    response_bytes: int = 0


class Evidence(msgspec.Struct, frozen=True):
    """What an attempt left beside its outcome: the end of its stderr and its last HTTP requests.

    `http_left_out` counts the requests before those.
    """

    stderr: str = ""
    http: tuple[HttpExchange, ...] = ()
    http_left_out: int = 0


class FailureRecord(msgspec.Struct, frozen=True):
    """Everything known of one failure, stored apart from the log since it can be long.

    The kind `error` is an attempt that returned an error of its function's own.
    """

    failure_id: FailureId
    kind: FailureKind | Literal["error"]
    message: str
    backtrace: str = ""
    cause: FailureId | None = None
    evidence: Evidence = Evidence()


def outcome_json(outcome: Outcome) -> dict[str, object]:
    """Give the form that the API and `obelisk-ctl` print; values inside are still plain (`wit_json.to_json`)."""
    if isinstance(outcome, Returned):
        return outcome.value
    failure = {"kind": outcome.kind, "failure_id": outcome.failure_id, "reason": outcome.reason}
    return {"execution_failure": failure}
