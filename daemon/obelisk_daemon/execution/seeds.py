"""Deterministic random bytes: what a workflow sees as randomness is a function of the seed in its `created` event."""

import hashlib
from typing import Literal

Stream = Literal["wasi", "host"]


class SeededBytes:
    """An endless stream of bytes from a 64-bit seed.

    Two streams of one seed are independent: what a guest draws by WASI never shifts what it draws from the host.
    """

    def __init__(self, seed: int, stream: Stream) -> None:
        self._key = seed.to_bytes(8) + stream.encode()
        self._block = 0
        self._left = b""

    def take(self, count: int) -> bytes:
        """Draw the next `count` bytes."""
        blocks, missing = [self._left], count - len(self._left)
        while missing > 0:
            counter = self._block.to_bytes(8)
            blocks.append(hashlib.blake2b(counter, key=self._key).digest())
            missing -= len(blocks[-1])
            self._block += 1
        drawn = b"".join(blocks)
        self._left = drawn[count:]
        return drawn[:count]

    def below(self, bound: int) -> int:
        """Draw an integer from 0 to `bound` - 1, each as likely as the next (`bound` from 1 to 2**64)."""
        length = (bound - 1).bit_length()
        while True:
            candidate = int.from_bytes(self.take(8)) >> (64 - length)
            if candidate < bound:
                return candidate
