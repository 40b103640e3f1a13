"""What to do about a manifest file, decided from what was read of it and when. The content decides, events don't.

A save may be seen half done, and a manifest that was cut off at the end of a line is a manifest still. So content is
acted on once it has stayed the same for a while: a short one, or a long one where something seems to be missing.
Times are seconds of one monotonic clock.
"""

import hashlib
from collections.abc import Callable
from typing import Final, TypeAlias

import msgspec

QUIET: Final = 0.25
HOLD: Final = 5.0
_NAMES_SHOWN: Final = 3
_ALLOW: Final = "run `obelisk-ctl manifest reload --allow-remove`"


class Absent(msgspec.Struct, frozen=True):
    """There is no content, and why: `code` and `message` are those of the refusal that may come of it."""

    code: str
    message: str


MISSING: Final = Absent("manifest_missing", "the file is not there; put it back, the active manifest stays until then")
Seen: TypeAlias = bytes | Absent


class Known(msgspec.Struct, frozen=True):
    """What is in force, and what became of the file so far."""

    active: bytes
    """The manifest of the active generation."""
    proposed: str | None = None
    """`hash_of` the last content of the file that this host proposed and that became, or was, the active manifest."""
    refused: str | None = None
    """Identifies what was refused last: `hash_of` it, if it has content. None: what is in force was seen since."""


class Settled(msgspec.Struct, frozen=True):
    """There is nothing to do until the file changes."""


class Wait(msgspec.Struct, frozen=True):
    """Look again after so many seconds. `why` says what seems to be missing; empty: nothing, it is just new."""

    seconds: float
    why: str = ""


class Propose(msgspec.Struct, frozen=True):
    """The content is to be checked and activated. Given again until `accepted` or `refused` is called."""

    content: bytes


class Refuse(msgspec.Struct, frozen=True):
    """The file can't be meant so: say it to the operator. Given once."""

    code: str
    message: str


Verdict: TypeAlias = Settled | Wait | Propose | Refuse


class _Doubt(msgspec.Struct, frozen=True):
    """What seems to be missing, and what comes of it if it stays so; without a refusal it is proposed."""

    why: str
    refusal: Refuse | None


class _Pending(msgspec.Struct, frozen=True):
    """What is seen since when, without a break."""

    key: str
    since: float


_EMPTY: Final = _Doubt(
    "the file is empty",
    Refuse("manifest_empty", f"the file is empty; save it whole, or, if nothing shall run, {_ALLOW}"),
)
_CUT_OFF: Final = _Doubt(
    "the file is the beginning of the active manifest",
    Refuse(
        "manifest_truncated",
        f"the file is the beginning of the active manifest: it looks cut off; save it whole, or {_ALLOW}",
    ),
)


class Settling:
    """Follows one manifest file. `names_in` gives the components and stubs of a content, None where it is no TOML."""

    def __init__(
        self,
        known: Known,
        names_in: Callable[[bytes], frozenset[str] | None],
        *,
        quiet: float = QUIET,
        hold: float = HOLD,
    ) -> None:
        self._known = known
        self._names_in = names_in
        self._quiet = quiet
        self._hold = hold
        self._pending: _Pending | None = None

    @property
    def known(self) -> Known:
        """What is in force, and what became of the file so far."""
        return self._known

    def observe(self, seen: Seen, now: float) -> Verdict:
        """Decide what to do about what was just read."""
        key = _key_of(seen)
        if key == self._known.proposed:
            # The file is right again, so that the same mistake made once more is news.
            self._note(refused=None)
            return Settled()
        if key == self._known.refused:
            self._pending = None
            return Settled()
        if self._pending is None or self._pending.key != key:
            self._pending = _Pending(key, now)
        return self._judge(seen, now - self._pending.since)

    def accepted(self, content: bytes) -> None:
        """Take notice that a proposal became the active manifest, or was it already."""
        self._note(proposed=hash_of(content), refused=None)

    def refused(self, content: bytes) -> None:
        """Take notice that a proposal was refused."""
        self._note(refused=hash_of(content))

    def activated(self, active: bytes) -> None:
        """Take notice of the active manifest, whoever activated it: this host, another one, a rollback."""
        self._note(active=active)

    def retry(self) -> None:
        """Forget what was refused, and wait anew: a file beside the manifest has changed, so it may pass now."""
        self._note(refused=None)

    def _note(self, **changed: bytes | str | None) -> None:
        self._known = msgspec.structs.replace(self._known, **changed)
        self._pending = None

    def _judge(self, seen: Seen, age: float) -> Verdict:
        if age < self._quiet:
            return Wait(self._quiet - age)
        # Only now, since it parses what was read: an editor at work must not cost that for each of its writes.
        doubt = self._doubt(seen)
        if doubt is not None and age < self._hold:
            return Wait(self._hold - age, doubt.why)
        if doubt is not None and doubt.refusal is not None:
            self._note(refused=_key_of(seen))
            return doubt.refusal
        assert isinstance(seen, bytes), "what is absent is refused"
        return Propose(seen)

    def _doubt(self, seen: Seen) -> _Doubt | None:
        if isinstance(seen, Absent):
            return _Doubt(seen.message, Refuse(seen.code, seen.message))
        if (short := _cut_off(seen, self._known.active)) is not None:
            return short
        names = self._names_in(seen)
        lacking = (self._names_in(self._known.active) or frozenset()) - names if names is not None else frozenset()
        return _Doubt(_lacks(sorted(lacking)), None) if lacking else None


def cut_off(content: bytes, active: bytes) -> Refuse | None:
    """Refuse content that looks like the active manifest, but for what is missing at its end."""
    doubt = _cut_off(content, active)
    return None if doubt is None else doubt.refusal


def _cut_off(content: bytes, active: bytes) -> _Doubt | None:
    if not content.strip():
        return _EMPTY
    return _CUT_OFF if content != active and active.startswith(content) else None


def hash_of(content: bytes) -> str:
    """Identify the content of a manifest file."""
    return hashlib.sha256(content).hexdigest()


def _key_of(seen: Seen) -> str:
    return hash_of(seen) if isinstance(seen, bytes) else f"{seen.code}: {seen.message}"


def _lacks(names: list[str]) -> str:
    shown = ", ".join(f'"{name}"' for name in names[:_NAMES_SHOWN])
    more = len(names) - _NAMES_SHOWN
    return f"the file lacks {shown}" + (f" and {more} more" if more > 0 else "")
