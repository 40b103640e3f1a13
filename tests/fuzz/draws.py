"""Choices made of bytes, so that a fuzzer that changes bytes changes choices."""

from collections.abc import Sequence
from typing import TypeVar

T = TypeVar("T")


class Draws:
    """Takes bytes one after the other; zeroes once there are none left."""

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._at = 0

    @property
    def is_empty(self) -> bool:
        """Tell if all bytes are used up."""
        return self._at >= len(self._data)

    def below(self, bound: int) -> int:
        """Draw an integer from 0 to `bound`, without."""
        byte = 0 if self.is_empty else self._data[self._at]
        self._at += 1
        return byte % bound

    def one_of(self, choices: Sequence[T]) -> T:
        """Draw one of several."""
        return choices[self.below(len(choices))]

    def rest(self) -> bytes:
        """Take all that is left."""
        left = self._data[self._at :]
        self._at = len(self._data)
        return left
