"""Where the API listens: the `listen` key, and what a listener needs that others than its user can reach."""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

import msgspec

from obelisk_config import forms
from obelisk_config.diagnostics import Diagnostic
from obelisk_config.document import KeyPath
from obelisk_config.model import Listen, Manifest, TcpListen, Tls, UnixListen
from obelisk_config.place import INVALID, Place, at
from obelisk_config.rules import FormError, Key, Listing, Text
from obelisk_config.tables import TableOf

SOCKET_PATH_BYTES: Final = 107
"""What Linux takes for the path of a unix socket."""
_PLACE: Final = re.compile(r"(?P<host>\[[0-9A-Fa-f:.]*\]|[^:\[\]]*):(?P<port>[0-9]{1,5})", re.ASCII)
_LAST_PORT: Final = 65_535
_TOKENS: Final = (
    "make a token: obelisk-ctl token new --role admin --add-to obelisk.toml\n"
    "or listen on a unix socket only, where the mode of its file says who may; --dev serves the loopback without"
)
_PLAIN: Final = (
    'say how it is encrypted: { address = "...", tls = { cert = "cert.pem", key = "key.pem" } }\n'
    'or { address = "...", trusted_proxy = ["10.0.0.5"] }, behind a proxy at that address which others reach by https'
)


def listen(text: str) -> Listen:
    """Check where to listen. The path of a unix socket is left as it is."""
    if text.startswith("unix:"):
        return UnixListen(forms.path(text.removeprefix("unix:")))
    match = _PLACE.fullmatch(text)
    if match is None or not match["host"] or int(match["port"]) > _LAST_PORT:
        raise FormError(f'"{text[:80]}" is not an address to listen on')
    host = match["host"].strip("[]")
    if host == "localhost":
        return TcpListen("127.0.0.1", int(match["port"]))
    try:
        return TcpListen(str(ipaddress.ip_address(host)), int(match["port"]))
    except ValueError:
        raise FormError(f'"{host[:80]}" is not an IP address') from None


def _network(text: str) -> str:
    try:
        return str(ipaddress.ip_network(text))
    except ValueError:
        raise FormError(f'"{text[:80]}" is not an IP address or a network') from None


def _host_name(text: str) -> str:
    if "*" in text:
        raise FormError(f'"{text[:80]}" has a *, and a name is one name')
    return forms.host(text)


ADDRESS: Final = Text(
    "an address in quotes",
    "bad_listen",
    'write "unix:/path/to/socket", "127.0.0.1:5005" or "[::1]:5005"; a port is 0 (any free one) to 65535',
    listen,
    r"unix:[^\0]+|[^\0]+:[0-9]{1,5}",
)
TLS: Final = TableOf(
    "tls",
    (
        Key("cert", forms.PATH, "A PEM file with the certificate and its chain.", example="cert.pem", required=True),
        Key("key", forms.PATH, "A PEM file with its key, without a password.", example="key.pem", required=True),
    ),
)
LISTEN_TABLE: Final = TableOf(
    "an entry of listen",
    (
        Key("address", ADDRESS, "An IP address and a port.", example="0.0.0.0:5005", required=True),
        Key("tls", TLS, "The files for https, read again when they change."),
        Key(
            "trusted_proxy",
            Listing(
                Text(
                    "an address in quotes",
                    "bad_proxy",
                    'write "10.0.0.5" or "10.0.0.0/24"',
                    _network,
                    r"[0-9A-Fa-f:./]+",
                ),
                least=1,
            ),
            "The only addresses that requests are taken from: those of a proxy that others reach by https.",
            example=["10.0.0.5"],
        ),
        Key(
            "hosts",
            Listing(Text("a name in quotes", "bad_host", 'write "obelisk.example.com"', _host_name)),
            "Names by which it is reached, as they are in the Host header, beside its address.",
            example=["obelisk.example.com"],
        ),
    ),
)


class ListenEntry(msgspec.Struct, frozen=True):
    """An entry of `listen`: just the address, or a table that says more."""

    def parse(self, value: object, place: Place) -> object:
        """Check it."""
        if not isinstance(value, dict):
            return ADDRESS.parse(value, place)
        before = len(place.reported)
        parsed = LISTEN_TABLE.parse(value, place)
        if len(place.reported) > before or not isinstance(parsed, dict):
            return INVALID
        found = parsed.pop("address")
        if not isinstance(found, TcpListen):
            hint = "write it without a table; the mode of its file says who may"
            return place.child("address").error("bad_listen", "address: a unix socket has no more to say", hint)
        if "tls" in parsed:
            parsed["tls"] = Tls(**parsed["tls"])
        return msgspec.structs.replace(found, **parsed)


LISTEN: Final = Listing(ListenEntry(), most=16, least=1)


def beside(directory: Path, listens: tuple[Listen, ...]) -> tuple[Listen, ...]:
    """Make the paths of sockets and files absolute; they start at the directory."""
    return tuple(_located(directory, one) for one in listens)


def _located(directory: Path, one: Listen) -> Listen:
    if isinstance(one, UnixListen):
        return UnixListen(str(directory / one.path))
    if one.tls is None:
        return one
    return msgspec.structs.replace(one, tls=Tls(str(directory / one.tls.cert), str(directory / one.tls.key)))


def check_listeners(manifest: Manifest, *, dev: bool = False, given: bool = False) -> tuple[Diagnostic, ...]:
    """Report listeners that may not be as they are.

    With `dev` the loopback may do without tokens. `given` says that the listeners are of the command line.
    """
    return tuple(_exposed(manifest, dev, given))


def _exposed(manifest: Manifest, dev: bool, given: bool) -> Iterator[Diagnostic]:
    no_tokens = not manifest.document.values.get("token")
    for number, one in enumerate(manifest.daemon.listen):
        path: KeyPath = ("daemon",) if given else ("daemon", "listen", number)
        if not isinstance(one, TcpListen):
            continue
        is_local = ipaddress.ip_address(one.host).is_loopback
        if not is_local and one.tls is None and not one.trusted_proxy:
            message = f"{one} can be reached by others, and what they send could be read on the way, tokens too"
            yield at(manifest.document, path, "listen_not_loopback", message, _PLAIN)
        if no_tokens and dev and is_local and not one.trusted_proxy:
            message = f"with --dev, everybody on this machine may do everything at {one}"
            span = manifest.document.at(path)
            yield Diagnostic("open_listener", message, span, f"a token ends that\n{_TOKENS}", "warning")
        elif no_tokens:
            who = "everybody on this machine" if is_local else "others"
            message = f"{one} can be reached by {who}, and there is no [[token]] to tell them by"
            yield at(manifest.document, path, "listen_without_token", message, _TOKENS)
