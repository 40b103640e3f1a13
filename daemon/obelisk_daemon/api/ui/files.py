"""The files of the web UI, read once: what each is, and the tag by which a browser knows that it has it already."""

import hashlib
from pathlib import Path
from typing import Final, NamedTuple

DIRECTORY: Final = Path(__file__).parent / "static"
START: Final = "index.html"
"""The page at `/`; it loads all the others."""
_TYPES: Final = {
    ".html": "text/html",
    ".css": "text/css",
    ".js": "text/javascript",
    ".svg": "image/svg+xml",
}


class File(NamedTuple):
    """A file as it is sent. `etag` changes with its content."""

    content: bytes
    media_type: str
    etag: str


def read_files(directory: Path = DIRECTORY) -> dict[str, File]:
    """Read all files by name.

    Raises:
        KeyError: One has an ending whose type is not known here.
    """
    return {path.name: _read(path) for path in sorted(directory.iterdir())}


def _read(path: Path) -> File:
    content = path.read_bytes()
    return File(content, _TYPES[path.suffix], f'"{hashlib.sha256(content).hexdigest()[:32]}"')
