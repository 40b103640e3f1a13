"""Bytes to a document, or the one thing that keeps them from being TOML."""

import re
import tomllib
from itertools import takewhile
from typing import Final

import msgspec

from obelisk_config.database import holds_password
from obelisk_config.diagnostics import Diagnostic, ManifestError, Span
from obelisk_config.document import Document, PlaceIndex, Source

MAX_BYTES: Final = 4 * 1024 * 1024

_PLACE: Final = re.compile(
    r"(?P<what>.*) \(at (?:line (?P<line>\d+), column (?P<column>\d+)|end of document)\)", re.DOTALL
)
_SECRETS_HEADER: Final = re.compile(r"\[+\s*[\"']?secrets\b|\[.*\bpassword\b")
_SECRETS_KEY: Final = re.compile(r"\s*[\"']?secrets\b")
_SAID: Final = (
    (
        "Invalid value",
        "there is no valid value here",
        'text needs quotes: name = "orders"; so do durations and sizes: timeout = "30s"',
    ),
    (
        "Invalid statement",
        "this is not a key, a table header or a comment",
        "a line is key = value, [table] or [[table]]",
    ),
    (
        "Invalid initial character for a key part",
        "a key should begin here",
        "an inline table has no comma after its last key",
    ),
    ("Expected '=' after a key", "a key without `=`", "write key = value; a key with : / or spaces needs quotes"),
    (
        "Expected newline or end of document",
        "something is left over after the value",
        "write one key a line; text needs quotes",
    ),
    ("Unclosed array", "this array is not closed", "put a comma between the items and ] after the last"),
    ("Unclosed inline table", "this inline table is not closed", "it ends with } on the line it begins on"),
    ("Unescaped '\\'", "this backslash escape does not exist", "write \\\\ for a backslash, or use 'single quotes'"),
    (
        "Illegal character '\\n'",
        "this text is not closed on its line",
        'close it with "; text of several lines stands in """',
    ),
    (
        "Illegal character",
        "this character can't stand here",
        'close text with " on the same line; long text stands in """',
    ),
    ("Expected \"'", "this text is not closed", "close it with the quotes it begins with"),
    (
        "Unterminated string",
        "this text is not closed",
        'close it with the quote it begins with; long text stands in """',
    ),
    ("Duplicate inline table key", "this key is here twice", "keep one of them"),
    ("Cannot redefine namespace", "this table is here twice", "write all of its keys in one place"),
    ("Expected ']", "this table header is not closed", "write [table] or [[table]]"),
    ("Cannot overwrite a value", "this key is here twice", "keep one of them"),
    (
        "Cannot declare",
        "this table is here twice",
        "write each [table] once; several of a kind are [[activity]], [[workflow]]",
    ),
    ("Cannot mutate immutable", "this adds to an inline table or array", "write all of it in one place"),
)


def parse(data: bytes, file: str) -> Document:
    """Read a manifest's bytes.

    Raises:
        ManifestError: they are too many, not UTF-8, or not TOML.
    """
    source = Source(data[: MAX_BYTES + 1], file)
    if len(data) > MAX_BYTES:
        raise _refused(
            source.span(0, 0, 1), "manifest_too_large", f"more than {MAX_BYTES >> 20} MiB", "a manifest has a few KiB"
        )
    text = _decode(source)
    if (deep := source.deep_key()) is not None:
        raise _refused(deep, "syntax", "this key nests too deeply", "three levels are enough")
    try:
        values = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise ManifestError([_without_secret(source, _explain(source, str(error)))]) from None
    except RecursionError:
        message = "arrays or tables nest too deeply"
        raise _refused(source.span(0, 0, 1), "syntax", message, "three levels are enough") from None
    except ValueError as error:
        message = f"a value can't be read: {error}"
        raise _refused(source.span(0, 0, 1), "syntax", message, "look for a very long number") from None
    return Document(source, values)


def _decode(source: Source) -> str:
    if source.data.startswith(b"\xef\xbb\xbf"):
        raise _refused(
            source.span(0, 0, 1), "syntax", "the file begins with a byte order mark", "save it as UTF-8 without BOM"
        )
    try:
        return source.data.decode()
    except UnicodeDecodeError as error:
        line = source.data.count(b"\n", 0, error.start)
        start = error.start - (source.data.rfind(b"\n", 0, error.start) + 1)
        span = source.span(line, start, start + 1)
        byte = f"byte 0x{source.data[error.start]:02x}"
        raise _refused(
            span, "not_utf8", f"the file is not UTF-8: {byte} can't stand here", "save it as UTF-8"
        ) from None


def _refused(span: Span, code: str, message: str, hint: str) -> ManifestError:
    return ManifestError([Diagnostic(code, message, span, hint)])


def _explain(source: Source, said: str) -> Diagnostic:
    """Say tomllib's error in our words, at its place or, for what is there twice, at the better one of the index."""
    match = _PLACE.fullmatch(said)
    what = match["what"] if match else said
    message, hint = next(((ours, hint) for theirs, ours, hint in _SAID if what.startswith(theirs)), (what, ""))
    if what.startswith(("Cannot overwrite", "Cannot declare", "Duplicate")):
        index = PlaceIndex(source)
        if index.repeated:
            path, place = index.repeated[0]
            first = index.keys.get(path) or index.values[path]
            return Diagnostic("syntax", f"{message}; the first is on line {first.line + 1}", source.span(*place), hint)
    return Diagnostic("syntax", message, _place(source, match), hint)


def _without_secret(source: Source, diagnostic: Diagnostic) -> Diagnostic:
    """Hide what stands after the `=` in `[secrets]` or could have a password: perhaps a value without quotes."""
    span = diagnostic.span
    upwards = [line.strip() for line in source.data.decode().split("\n")[span.line - 1 :: -1]]
    own = [*takewhile(lambda line: not line.startswith("["), upwards)]
    header = upwards[len(own)] if len(own) < len(upwards) else ""
    key, equals, value = span.text.partition("=")
    is_secret = _SECRETS_HEADER.match(header) or _SECRETS_KEY.match(key) or holds_password(span.text)
    if not equals or not is_secret:
        return diagnostic
    value = value.lstrip()
    written = msgspec.structs.replace(span, column=len(span.text) - len(value) + 1, width=len(value))
    return msgspec.structs.replace(diagnostic, span=span.without(written))


def _place(source: Source, match: re.Match[str] | None) -> Span:
    """Turn tomllib's line and column (in characters) into a span; the end of the document is that of its last line."""
    if match is None or match["line"] is None:
        text = source.data.rstrip()
        line = text.count(b"\n")
        end = len(text) - (text.rfind(b"\n") + 1)
        return source.span(line, end, end + 1)
    line = int(match["line"]) - 1
    text = source.data.split(b"\n")[line]
    start = len(text.decode()[: int(match["column"]) - 1].encode())
    return source.span(line, start, start + 1)
