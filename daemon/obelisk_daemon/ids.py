"""Identities: ULIDs with a prefix, and the ids of children and delays derived from their parent.

An id made here sorts by the time it was made. Ids of children are derived, so that a replay names the same ones
(DESIGN.md section 2).
"""

import hashlib
import re
from collections.abc import Callable
from typing import Final, NewType

from obelisk_daemon.errors import CallerError

ExecutionId = NewType("ExecutionId", str)
"""`E_<ulid>`, or for a child `<parent>.<join set>_<n>`."""
DelayId = NewType("DelayId", str)
"""`Delay_<ulid of the execution's root>...`: the execution id with its prefix changed, then `.<join set>_<n>`."""
ExecutorId = NewType("ExecutorId", str)
RunId = NewType("RunId", str)
FailureId = NewType("FailureId", str)

_ALPHABET: Final = "0123456789ABCDEFGHJKMNPQRSTVWXYZ"
ULID_FORM: Final = "[0-7][0-9A-HJKMNP-TV-Z]{25}"
"""A regular expression of Python and of ECMAScript, as the forms below."""
# Python and ECMAScript don't agree on what white space is, so the characters that only one of them means are told.
_MEMBER: Final = r"\.[ong]:[^.\s/\x00-\x1f\x7f-\x9f\ufeff]{1,128}_[0-9]{1,9}"
TOP_LEVEL_ID_FORM: Final = f"E_{ULID_FORM}"
EXECUTION_ID_FORM: Final = f"E_{ULID_FORM}({_MEMBER})*"
DELAY_ID_FORM: Final = f"Delay_{ULID_FORM}({_MEMBER})+"
MAX_ID: Final = 1_000
"""Characters of any id."""
_TOP_LEVEL: Final = re.compile(TOP_LEVEL_ID_FORM)
_EXECUTION: Final = re.compile(EXECUTION_ID_FORM)
_DELAY: Final = re.compile(DELAY_ID_FORM)
_RANDOM_BITS: Final = 80
_PAIRS: Final = tuple(high + low for high in _ALPHABET for low in _ALPHABET)
"""What ten bits are written as."""
_SHIFTS: Final = range(120, -1, -10)


def encode_ulid(milliseconds: int, randomness: int) -> str:
    """Write 48 bits of time and 80 bits of randomness as 26 characters of Crockford's base 32."""
    value = (milliseconds & (1 << 48) - 1) << _RANDOM_BITS | randomness
    return "".join([_PAIRS[value >> shift & 1023] for shift in _SHIFTS])


class IdSource:
    """Makes ids that never repeat and, within one source, always increase.

    `now_ms` gives Unix milliseconds and `random_bits(n)` n random bits; both belong to the owner of the source.
    """

    def __init__(self, now_ms: Callable[[], int], random_bits: Callable[[int], int]) -> None:
        self._now_ms = now_ms
        self._random_bits = random_bits
        self._last = (0, 0)
        self._ulid = encode_ulid(*self._last)

    def ulid(self) -> str:
        """Make the next ULID; within one millisecond, or after a backward clock jump, count up from the last."""
        now, (last_ms, last_random) = self._now_ms(), self._last
        if now > last_ms:
            self._last = (now, self._random_bits(_RANDOM_BITS - 1))
        else:
            self._last = (last_ms, last_random + 1)
            if self._last[1] & 1023:  # all but the last two characters are those of the last one
                self._ulid = self._ulid[:24] + _PAIRS[self._last[1] & 1023]
                return self._ulid
        self._ulid = encode_ulid(*self._last)
        return self._ulid

    def execution(self) -> ExecutionId:
        """Make the id of a top-level execution."""
        return ExecutionId(f"E_{self.ulid()}")

    def executor(self) -> ExecutorId:
        """Make the id of an executor."""
        return ExecutorId(f"Exr_{self.ulid()}")

    def run(self) -> RunId:
        """Make the id of one run under one lock."""
        return RunId(f"Run_{self.ulid()}")

    def failure(self) -> FailureId:
        """Make the id of a recorded failure."""
        return FailureId(f"Err_{self.ulid()}")


def retry_id(original: ExecutionId) -> ExecutionId:
    """Name the execution that repeats another one where many are repeated: asked for twice, it is made once.

    It has the time of the original's root, and the rest from a hash of the original's id.
    """
    digest = hashlib.sha256(f"retry {original}".encode()).digest()
    drawn = int.from_bytes(digest[:10]) & (1 << _RANDOM_BITS) - 1
    return ExecutionId(f"{original[:12]}{encode_ulid(0, drawn)[10:]}")


def child_id(parent: ExecutionId, join_set: str, number: int) -> ExecutionId:
    """Name the `number`-th (from 1) child of a join set."""
    return ExecutionId(f"{parent}.{join_set}_{number}")


def delay_id(parent: ExecutionId, join_set: str, number: int) -> DelayId:
    """Name the `number`-th (from 1) delay of a join set."""
    return DelayId(f"Delay_{parent.removeprefix('E_')}.{join_set}_{number}")


def parse_execution_id(text: str) -> ExecutionId:
    """Check the form of any execution id.

    Raises:
        CallerError: `invalid_execution_id`, for the caller to correct.
    """
    if len(text) > MAX_ID or not _EXECUTION.fullmatch(text):
        raise CallerError("invalid_execution_id", f"{text[:80]!r} is not an execution id; one looks like E_<ULID>")
    return ExecutionId(text)


def parse_submitted_id(text: str) -> ExecutionId:
    """Check an id that a client chose: top-level only, since the ids of children belong to their parent.

    Raises:
        CallerError: `invalid_execution_id`.
    """
    if not _TOP_LEVEL.fullmatch(text):
        raise CallerError(
            "invalid_execution_id",
            f"{text[:80]!r} can't be submitted; an id is E_ and a ULID, and ids of children can't be chosen",
        )
    return ExecutionId(text)


def parse_delay_id(text: str) -> DelayId:
    """Check the form of the id of a delay.

    Raises:
        CallerError: `invalid_delay_id`.
    """
    if len(text) > MAX_ID or not _DELAY.fullmatch(text):
        raise CallerError("invalid_delay_id", f"{text[:80]!r} is no delay's id; one looks like Delay_<ULID>.n:a_1")
    return DelayId(text)


def owner_of(delay: DelayId) -> ExecutionId:
    """Give the execution that asked for a delay."""
    return ExecutionId("E_" + delay.removeprefix("Delay_").rpartition(".")[0])
