"""What happened in a simulation, in order, and a hash of all of it: the same seed gives the same."""

import hashlib
from collections import deque
from collections.abc import Callable


class Trace:
    """Takes lines; `tell` gets each as it comes, and `recent` keeps the last ones."""

    def __init__(self, now: Callable[[], float], tell: Callable[[str], None] | None = None) -> None:
        self.secret: str | None = None
        """What must be in no line."""
        self.has_secret = False
        self.recent: deque[str] = deque(maxlen=60)
        self._now = now
        self._tell = tell
        self._hash = hashlib.blake2b(digest_size=8)

    def note(self, who: str, what: str) -> None:
        """Take one line."""
        line = f"{self._now():12.6f} {who:<10} {what}"
        self.has_secret = self.has_secret or (self.secret is not None and self.secret in line)
        self._hash.update(line.encode())
        self.recent.append(line)
        if self._tell is not None:
            self._tell(line)

    @property
    def digest(self) -> str:
        """Give the hash of all lines so far."""
        return self._hash.hexdigest()
