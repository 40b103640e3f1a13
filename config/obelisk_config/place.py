"""Where a check stands in the document, and the one list all checks of a run report to."""

from typing import Final

from obelisk_config.diagnostics import Diagnostic
from obelisk_config.document import Document, KeyPath


class Invalid:
    """What a check gives in place of a value it has reported."""


INVALID: Final = Invalid()


class Place:
    """A value's place. Errors reported here go to the list that all places of a document share."""

    def __init__(self, document: Document, path: KeyPath, reported: list[Diagnostic]) -> None:
        self.document = document
        self.path = path
        self.reported = reported

    @property
    def name(self) -> str:
        """Give the nearest key, for messages."""
        return next((part for part in reversed(self.path) if isinstance(part, str)), "")

    @property
    def line(self) -> int:
        """Give the line of the value, for messages about another."""
        return self.document.at(self.path).line

    def child(self, part: str | int) -> "Place":
        """Go to a key or an item of the value here."""
        return Place(self.document, (*self.path, part), self.reported)

    def error(self, code: str, message: str, hint: str = "") -> Invalid:
        """Report that the value here is wrong."""
        return self._report(Diagnostic(code, message, self.document.at(self.path), hint))

    def key_error(self, code: str, message: str, hint: str = "") -> Invalid:
        """Report that the key here is wrong, whatever its value."""
        return self._report(Diagnostic(code, message, self.document.key(self.path), hint))

    def _report(self, diagnostic: Diagnostic) -> Invalid:
        self.reported.append(diagnostic)
        return INVALID


def at(document: Document, path: KeyPath, code: str, message: str, hint: str) -> Diagnostic:
    """Make an error about the value at a path."""
    return Diagnostic(code, message, document.at(path), hint)
