"""Whether a failed attempt is repeated, and when (DESIGN.md section 4, "Retry")."""

import hashlib
import sys
from collections.abc import Iterator
from datetime import timedelta
from typing import Literal

from obelisk_daemon.execution.events import RetryPolicy
from obelisk_daemon.ids import ExecutionId

Cause = Literal["error", "trap", "timeout", "lost"]


def is_retried(policy: RetryPolicy, attempt: int, cause: Cause) -> bool:
    """Decide if attempt number `attempt` (from 1) is followed by another.

    A lost run is repeated whatever `retry_on` says, but is counted, so `max_retries = 0` means at most once.
    """
    return attempt <= policy.max_retries and (cause == "lost" or cause in policy.retry_on)


def backoff(policy: RetryPolicy, execution_id: ExecutionId, attempt: int) -> timedelta:
    """Give the wait after failed attempt number `attempt` (from 1).

    Jitter is drawn from the id and the attempt, so a repeated run of the same history waits the same time.
    """
    exponent = min(attempt - 1, 1_000)  # beyond, a float would overflow; `max` has been reached long before
    wait = min(policy.initial * _bounded_power(policy.factor, exponent), policy.max)
    digest = hashlib.sha256(f"{execution_id}/{attempt}".encode()).digest()
    fraction = int.from_bytes(digest[:8]) / 2**64
    return timedelta(seconds=wait * (1 + policy.jitter * fraction))


def _bounded_power(factor: float, exponent: int) -> float:
    try:
        return float(factor**exponent)
    except OverflowError:
        return sys.float_info.max  # not infinity, of which 0 times is no number


def is_permanent(error: object) -> bool:
    """Tell if an activity's error says of itself that a retry is useless.

    That is a variant or enum case whose name contains `permanent`; plain values show a case as a string or as a
    dict of one key. An error that is declared `string` never counts: callers check the type first.
    """
    return any("permanent" in name for name in _case_names(error))


def _case_names(error: object) -> Iterator[str]:
    if isinstance(error, str):
        yield error
    elif isinstance(error, dict) and len(error) == 1:
        yield from error
