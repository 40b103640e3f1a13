"""How a command ends when it doesn't end well: exit codes as in sysexits(3), and one error that carries them."""

from typing import Final

OK: Final = 0
FAILED: Final = 1
USAGE: Final = 64
BAD_DATA: Final = 65
UNREACHABLE: Final = 69
TIMED_OUT: Final = 75
NOT_PERMITTED: Final = 77
BAD_MANIFEST: Final = 78
CHANGES: Final = 2
"""A plan has changes."""

_BY_STATUS: Final = {
    400: BAD_DATA,
    401: NOT_PERMITTED,
    403: NOT_PERMITTED,
    413: BAD_DATA,
    422: BAD_DATA,
    429: TIMED_OUT,
    503: UNREACHABLE,
    507: UNREACHABLE,
}


class CtlError(Exception):
    """A command failed. `code` is for programs, `str()` for people; `told` joins the JSON document."""

    def __init__(self, exit_code: int, code: str, message: str, told: dict[str, object] | None = None) -> None:
        super().__init__(message)
        self.exit_code = exit_code
        self.code = code
        self.told = told or {}


def exit_code_of(status: int) -> int:
    """Choose the exit code for an HTTP status that is an error."""
    return _BY_STATUS.get(status, FAILED)
