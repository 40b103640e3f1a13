"""wasi:http/types `fields`: headers, with the rules about names and values."""

from collections.abc import Callable, Iterable
from typing import Any, Final, TypeAlias

from obelisk_daemon.wasm.resources import GuestStopped
from obelisk_daemon.wasm.wasi.context import HandlerTable, WasiGuest, borrowed

Outcome: TypeAlias = dict[str, Any]
Entry: TypeAlias = tuple[str, bytes]

_TOKEN: Final = frozenset("!#$%&'*+-.^_`|~0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ")
_CONTROLS: Final = bytes([*range(9), *range(10, 32), 127])
FORBIDDEN: Final = frozenset(
    {
        "connection", "host", "http2-settings", "keep-alive", "proxy-authenticate", "proxy-authorization",
        "proxy-connection", "te", "trailer", "transfer-encoding", "upgrade",
    }
)  # fmt: skip
"""Those that frame a message or name its receiver: the host writes them."""
MAX_BYTES: Final = 256 * 1024
"""Of one `fields`, so that a guest can't fill the host's memory; what may be sent is bounded by `HttpLimits`."""


class HeaderError(Exception):
    """A change of fields is refused; `case` is the plain value of `header-error`."""

    def __init__(self, case: str) -> None:
        super().__init__(case)
        self.case = case


class Fields:
    """Names and values in order; names compare without regard to case."""

    def __init__(self, entries: Iterable[Entry] = (), *, immutable: bool = False) -> None:
        self.entries = list(entries)
        self.immutable = immutable
        self._size = sum(_size(entry) for entry in self.entries)

    def get(self, name: str) -> list[bytes]:
        """Give the values of a name, in order."""
        wanted = name.lower()
        return [value for known, value in self.entries if known.lower() == wanted]

    def replace(self, name: str, values: Iterable[bytes]) -> None:
        """Remove a name, then append its new values.

        Raises:
            HeaderError: refused; nothing was changed.
        """
        added = [(name, value) for value in values]
        self._check(name, added)
        kept = [entry for entry in self.entries if entry[0].lower() != name.lower()]
        self._put(kept + added)

    def append(self, name: str, value: bytes) -> None:
        """Append one value. Raises as `replace` does."""
        self._check(name, [(name, value)])
        self._size += _size((name, value))
        _bound(self._size)
        self.entries.append((name, value))

    def _check(self, name: str, added: list[Entry]) -> None:
        if self.immutable:
            raise HeaderError("immutable")
        check_name(name)
        for _, value in added:
            check_value(value)

    def _put(self, entries: list[Entry]) -> None:
        self._size = sum(_size(entry) for entry in entries)
        _bound(self._size)
        self.entries = entries


def _size(entry: Entry) -> int:
    return len(entry[0]) + len(entry[1]) + 4


def _bound(size: int) -> None:
    if size > MAX_BYTES:
        raise GuestStopped("trap", f"the guest made HTTP fields of more than {MAX_BYTES} bytes")


def header_bytes(entries: Iterable[tuple[str | bytes, bytes]]) -> int:
    """Count the bytes of headers as HTTP/1.1 writes them."""
    return sum(len(name) + len(value) + 4 for name, value in entries)


def check_name(name: str) -> None:
    """Refuse a name that is no token, or that only the host may write."""
    if not name or not _TOKEN.issuperset(name):
        raise HeaderError("invalid_syntax")
    if name.lower() in FORBIDDEN:
        raise HeaderError("forbidden")


def check_value(value: bytes) -> None:
    """Refuse control characters, above all line ends, which could begin another header or request."""
    if len(value.translate(None, _CONTROLS)) != len(value) or value != value.strip(b" \t"):
        raise HeaderError("invalid_syntax")


def _attempt(change: Callable[[], object]) -> Outcome:
    try:
        return {"ok": change()}
    except HeaderError as error:
        return {"err": error.case}


def _new(guest: WasiGuest) -> int:
    return guest.table.new(Fields())


def _from_list(guest: WasiGuest, entries: list[tuple[str, bytes]]) -> Outcome:
    def build() -> int:
        fields = Fields()
        for name, value in entries:
            fields.append(name, value)
        return guest.table.new(fields)

    return _attempt(build)


def _get(guest: WasiGuest, fields: int, name: str) -> list[bytes]:
    return borrowed(guest, fields, Fields).get(name)


def _has(guest: WasiGuest, fields: int, name: str) -> bool:
    return bool(borrowed(guest, fields, Fields).get(name))


def _set(guest: WasiGuest, fields: int, name: str, values: list[bytes]) -> Outcome:
    return _attempt(lambda: borrowed(guest, fields, Fields).replace(name, values))


def _delete(guest: WasiGuest, fields: int, name: str) -> Outcome:
    return _attempt(lambda: borrowed(guest, fields, Fields).replace(name, ()))


def _append(guest: WasiGuest, fields: int, name: str, value: bytes) -> Outcome:
    return _attempt(lambda: borrowed(guest, fields, Fields).append(name, value))


def _entries(guest: WasiGuest, fields: int) -> list[list[str | bytes]]:
    return [[name, value] for name, value in borrowed(guest, fields, Fields).entries]


def _clone(guest: WasiGuest, fields: int) -> int:
    return guest.table.new(Fields(borrowed(guest, fields, Fields).entries))


_METHOD: Final = "http/types.[method]fields."
HANDLERS: Final[HandlerTable] = {
    "http/types.[constructor]fields": _new,
    "http/types.[static]fields.from-list": _from_list,
    _METHOD + "get": _get,
    _METHOD + "has": _has,
    _METHOD + "set": _set,
    _METHOD + "delete": _delete,
    _METHOD + "append": _append,
    _METHOD + "entries": _entries,
    _METHOD + "clone": _clone,
}
