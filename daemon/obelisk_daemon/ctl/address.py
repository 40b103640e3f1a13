"""Where the daemon is: `--url`, `OBELISK_URL`, or the first default socket that is there."""

from collections.abc import Mapping
from pathlib import Path
from typing import Final, NamedTuple
from urllib.parse import urlsplit

from obelisk_daemon.ctl.failure import UNREACHABLE, USAGE, CtlError

_DEFAULTS: Final = (Path(".obelisk/api.sock"), Path("/run/obelisk/api.sock"), Path("/var/lib/obelisk/api.sock"))
START_HINT: Final = "start one with `obeliskd --manifest obelisk.toml`, or name it with --url or OBELISK_URL"


class Address(NamedTuple):
    """A unix socket (`path`), or a host and a port."""

    path: str | None
    host: str
    port: int
    tls: bool = False

    def __str__(self) -> str:
        if self.path is not None:
            return f"unix:{self.path}"
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"http{'s' if self.tls else ''}://{host}:{self.port}"


def find_address(url: str | None, environ: Mapping[str, str]) -> Address:
    """Choose the address.

    Raises:
        CtlError: the URL is wrong, or none was given and no default socket is there.
    """
    given = url or environ.get("OBELISK_URL")
    if given:
        return parse_address(given)
    state_dir = environ.get("OBELISK_STATE_DIR")
    candidates = ([Path(state_dir) / "api.sock"] if state_dir else []) + list(_DEFAULTS)
    for path in candidates:
        if path.exists():
            return Address(str(path), "localhost", 0)
    tried = ", ".join(str(path) for path in candidates)
    raise CtlError(UNREACHABLE, "daemon_unreachable", f"found no daemon: looked for {tried}; {START_HINT}")


def parse_address(text: str) -> Address:
    """Read `unix:/path`, `http://HOST:PORT` or `HOST:PORT`.

    Raises:
        CtlError: with the usage exit code.
    """
    if text.startswith("unix:"):
        path = text.removeprefix("unix:").removeprefix("//")
        return Address(path, "localhost", 0)
    try:
        parts = urlsplit(text if "://" in text else f"http://{text}")
        host, port = parts.hostname, parts.port
    except ValueError:
        host, port = None, None
    if not host or parts.scheme not in ("http", "https") or parts.path not in ("", "/"):
        raise CtlError(USAGE, "usage", f"{text!r} is not an address; write unix:/path or http://127.0.0.1:5005")
    return Address(None, host, port or (443 if parts.scheme == "https" else 80), parts.scheme == "https")
