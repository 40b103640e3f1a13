"""Components under other digests, and where a daemon finds them."""

import hashlib
from pathlib import Path

from tests import guests
from tests.e2e.daemon import Daemon


def digest_of(code: bytes) -> str:
    return f"sha256:{hashlib.sha256(code).hexdigest()}"


def variant(name: str, mark: str) -> bytes:
    """Give the code of a guest with a custom section that says nothing: the same behaviour under another digest."""
    content = bytes([len(mark)]) + mark.encode()
    return guests.path(name).read_bytes() + bytes([0, len(content)]) + content


def entry(daemon: Daemon, name: str, code: bytes, **settings: object) -> str:
    """Put a component's code beside the manifest, in a file of its own, and give its table."""
    file = daemon.directory / f"{name}-{digest_of(code)[7:15]}.wasm"
    file.write_bytes(code)
    return guests.manifest_entry(name, path=file.name, digest=digest_of(code), **settings)


def file_of(daemon: Daemon, name: str) -> Path:
    """Give the one file that `entry` has made of a guest."""
    (file,) = daemon.directory.glob(f"{name}-*.wasm")
    return file
