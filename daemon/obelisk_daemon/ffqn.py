"""Fully qualified function names: `namespace:package/interface[@version].function`, parsed once into a type."""

import re
from typing import Final, NamedTuple

from obelisk_daemon.errors import CallerError

_NAME: Final = r"%?[a-zA-Z][a-zA-Z0-9-]*"
_INTERFACE: Final = rf"{_NAME}:{_NAME}/{_NAME}(@[0-9A-Za-z.+-]+)?"
FORM: Final = rf"{_INTERFACE}\.{_NAME}"
"""A full name, as a regular expression of Python and of ECMAScript."""
_FFQN: Final = re.compile(rf"(?P<interface>{_INTERFACE})\.(?P<function>{_NAME})")


class Ffqn(NamedTuple):
    """An exported function. `str()` gives back the text it was parsed from."""

    interface: str
    """`namespace:package/interface[@version]`, as the component exports it."""
    function: str

    def __str__(self) -> str:
        return f"{self.interface}.{self.function}"

    @classmethod
    def parse(cls, text: str) -> "Ffqn":
        """Parse the full form.

        Raises:
            CallerError: `invalid_ffqn`.
        """
        match = _FFQN.fullmatch(text)
        if match is None:
            raise CallerError(
                "invalid_ffqn",
                f"{text[:200]!r} is not a function name; one looks like namespace:package/interface.function",
            )
        return cls(match["interface"], match["function"])
