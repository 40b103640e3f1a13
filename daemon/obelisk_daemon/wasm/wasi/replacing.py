"""Replacing byte strings by others. Of several that begin at the same place the longest counts, and none overlap."""

from collections.abc import Collection, Iterator, Mapping


def occurrences(data: bytes, wanted: Collection[bytes], start: int = 0) -> Iterator[tuple[int, bytes]]:
    """Find where the wanted strings (none of them empty) are, from left to right."""
    places = {one: data.find(one, start) for one in wanted}
    while found := [(at, -len(one), one) for one, at in places.items() if at >= 0]:
        at, _, one = min(found)
        yield at, one
        end = at + len(one)
        places |= {one: data.find(one, end) for one, at in places.items() if 0 <= at < end}


def replaced(data: bytes, by: Mapping[bytes, bytes]) -> bytes:
    """Replace every occurrence of a key by its value."""
    done, parts = 0, []
    for at, one in occurrences(data, by):
        parts += [data[done:at], by[one]]
        done = at + len(one)
    return b"".join([*parts, data[done:]])


def masked(data: bytes, hidden: Collection[bytes]) -> bytes:
    """Write asterisks for every occurrence, as many as it has bytes."""
    return replaced(data, {one: b"*" * len(one) for one in hidden})


class Masking:
    """Does what `masked` does to data that comes in parts.

    The end of a part that may be the beginning of something hidden is held back until it is known.
    """

    def __init__(self, hidden: Collection[bytes] = ()) -> None:
        self._hidden = hidden
        self._held = b""

    def feed(self, part: bytes) -> bytes:
        """Take a part, and give what is known by now."""
        data = self._held + part
        done, open_at, shown = 0, self._open_at(data, 0), []
        for at, one in occurrences(data, self._hidden):
            if at >= open_at:
                break
            shown += [data[done:at], b"*" * len(one)]
            done = at + len(one)
            if done > open_at:
                open_at = self._open_at(data, done)
        self._held = data[open_at:]
        return b"".join([*shown, data[done:open_at]])

    def finish(self) -> bytes:
        """Give what was held back: nothing comes after it."""
        held, self._held = self._held, b""
        return masked(held, self._hidden)

    def _open_at(self, data: bytes, start: int) -> int:
        return min((_beginning(data, one, start) for one in self._hidden), default=len(data))


def _beginning(data: bytes, one: bytes, start: int) -> int:
    """Find where, from `start` on, the end of the data is a beginning of a string and not all of it."""
    at = max(start, len(data) - len(one) + 1)
    while (at := data.find(one[:1], at)) >= 0:
        if one.startswith(data[at:]):
            return at
        at += 1
    return len(data)
