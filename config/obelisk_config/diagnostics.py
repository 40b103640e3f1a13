"""What is wrong with a manifest, said so that the operator can put it right without looking anything up."""

import unicodedata
from collections.abc import Iterable
from typing import Final, Literal, TypeAlias

import msgspec

Severity: TypeAlias = Literal["error", "warning"]

_LONGEST_LINE: Final = 160
_MOST_SHOWN: Final = 100


class Span(msgspec.Struct, frozen=True):
    """A place in a file. Columns and widths are counted in characters, from 1; `text` is the whole line."""

    file: str
    line: int
    column: int
    width: int
    text: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}:{self.column}"

    def without(self, other: "Span") -> "Span":
        """Write asterisks for what is at another span of the same line."""
        start, end = other.column - 1, other.column - 1 + other.width
        return msgspec.structs.replace(self, text=self.text[:start] + "*" * other.width + self.text[end:])


class Diagnostic(msgspec.Struct, frozen=True):
    """One thing that is wrong, or in doubt. `code` is stable; `hint` says what to do and may be empty."""

    code: str
    message: str
    span: Span
    hint: str = ""
    severity: Severity = "error"

    def render(self) -> str:
        """Write it as file:line:column, the line, a caret under the place, and the hint."""
        text, carets = _excerpt(self.span)
        number = str(self.span.line)
        margin = " " * len(number)
        lines = [
            f"{self.span}: {self.severity}[{self.code}]: {printable(self.message)}",
            f"{margin} |",
            f"{number} | {text}".rstrip(),
            f"{margin} | {carets}",
        ]
        if self.hint:
            first, *others = self.hint.splitlines()
            lines += [f"{margin} = hint: {printable(first)}"]
            lines += [f"{margin}         {printable(other)}" for other in others]
        return "\n".join(lines)


class ManifestError(Exception):
    """The manifest can't be used: the operator must act. Holds every error and warning found, in order of place."""

    code: Final = "invalid_manifest"

    def __init__(self, diagnostics: Iterable[Diagnostic]) -> None:
        self.diagnostics = in_order(diagnostics)
        super().__init__(render(self.diagnostics))


def in_order(diagnostics: Iterable[Diagnostic]) -> tuple[Diagnostic, ...]:
    """Sort by place; two diagnostics that say the same of the same place become one."""
    unique = dict.fromkeys(diagnostics)
    return tuple(sorted(unique, key=lambda d: (d.span.file, d.span.line, d.span.column, d.code, d.message)))


def has_errors(diagnostics: Iterable[Diagnostic]) -> bool:
    """Say whether any of them is more than a warning."""
    return any(diagnostic.severity == "error" for diagnostic in diagnostics)


def render(diagnostics: Iterable[Diagnostic]) -> str:
    """Write all of them in order of place, then a line that counts them. Of very many, only the first are shown."""
    ordered = in_order(diagnostics)
    blocks = [diagnostic.render() for diagnostic in ordered[:_MOST_SHOWN]]
    if len(ordered) > _MOST_SHOWN:
        blocks.append(f"... and {len(ordered) - _MOST_SHOWN} more")
    errors = sum(diagnostic.severity == "error" for diagnostic in ordered)
    counts = [_count(errors, "error"), _count(len(ordered) - errors, "warning")]
    blocks.append(", ".join(text for text in counts if text) or "no errors")
    return "\n\n".join(blocks)


def printable(text: str) -> str:
    """Replace what would steer a terminal; a manifest is shown on the terminals of people who didn't write it."""
    return "".join(
        character if character == "\t" or unicodedata.category(character)[0] != "C" else "\N{REPLACEMENT CHARACTER}"
        for character in text
    )


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}{'s' if number > 1 else ''}" if number else ""


def _excerpt(span: Span) -> tuple[str, str]:
    """Cut a long line around the place, and draw the carets under it as wide as a terminal shows them."""
    start = span.column - 1
    first = max(0, start - _LONGEST_LINE // 3) if len(span.text) > _LONGEST_LINE else 0
    shown = printable(span.text[first : first + _LONGEST_LINE])
    before, at = shown[: start - first], shown[start - first : start - first + span.width]
    pad = "".join("\t" if character == "\t" else " " * _cells(character) for character in before)
    left = "..." if first else ""
    right = "..." if first + _LONGEST_LINE < len(span.text) else ""
    return f"{left}{shown}{right}", " " * len(left) + pad + "^" * max(1, sum(map(_cells, at)))


def _cells(character: str) -> int:
    if unicodedata.combining(character):
        return 0
    return 2 if unicodedata.east_asian_width(character) in "WF" else 1
