"""The forms of names and addresses in a manifest. Each check takes text and gives the value, or raises FormError."""

import ipaddress
import re
from typing import Final, NoReturn, cast

import msgspec

from obelisk_config.model import Scheme
from obelisk_config.place import INVALID, Place
from obelisk_config.rules import Boolean, Choice, FormError, Key, Listing, Text
from obelisk_config.tables import TableOf

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_-]{0,63}", re.ASCII)
_LABEL: Final = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._/=-]{0,61}[A-Za-z0-9])?", re.ASCII)
_HOST: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,252}", re.ASCII)
_DIGEST: Final = re.compile(r"sha256:[0-9a-f]{64}", re.ASCII)
_WIT: Final = r"%?[a-zA-Z][a-zA-Z0-9-]*"
_FFQN: Final = re.compile(rf"{_WIT}:{_WIT}/{_WIT}(@[0-9A-Za-z.+-]+)?\.{_WIT}", re.ASCII)
_PARAMETER: Final = re.compile(r"%?[a-zA-Z][a-zA-Z0-9]*(-[a-zA-Z0-9]+)*", re.ASCII)
_VARIABLE: Final = re.compile(r"[^=\0]+")
_PATH: Final = r"[^\0]+"
_ORIGIN: Final = re.compile(
    r"(?P<scheme>[A-Za-z]+)://(?P<host>\[[^\]/]*\]|[^:/?#@\[\]]*)(?::(?P<port>[^/]*))?(?P<rest>.*)", re.DOTALL
)
_DNS: Final = re.compile(r"(?!-)[a-z0-9_-]{1,63}(?<!-)(\.(?!-)[a-z0-9_-]{1,63}(?<!-))*", re.ASCII)
_DEFAULT_PORTS: Final = {"http": 80, "https": 443}
_LAST_PORT: Final = 65_535
WIT_TYPE_LENGTH: Final = 16_384
METHODS: Final = ("GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS")


def name(text: str) -> str:
    """Check the name of a component."""
    return _matching(_NAME, text, "is not a name")


def label(text: str) -> str:
    """Check a label."""
    return _matching(_LABEL, text, "is not a label")


def own_host(text: str) -> str:
    """Check the name that a host has among those that share a database."""
    return _matching(_HOST, text, "is not the name of a host")


def digest(text: str) -> str:
    """Check a digest."""
    return _matching(_DIGEST, text, "is not a digest")


def ffqn(text: str) -> str:
    """Check the full name of a function."""
    return _matching(_FFQN, text, "is not a function name")


def stub_ffqn(text: str) -> str:
    """Check the full name of a function, and give it as a component exports it: without the `%` of WIT text."""
    return ffqn(text).replace("%", "")


def parameter(text: str) -> str:
    """Check the name of a parameter, and give it without a `%`."""
    if not _PARAMETER.fullmatch(text):
        better = re.sub(r"[_ ]+", "-", text)
        hint = f'WIT has no _ and no spaces in names: write "{better}"' if _PARAMETER.fullmatch(better) else ""
        raise FormError(f'"{text[:80]}" is not the name of a parameter', hint=hint)
    return text.removeprefix("%")


def wit_type(text: str) -> str:
    """Check that there may be a WIT type in a text; what it says is read by the daemon."""
    if not text.strip() or len(text) > WIT_TYPE_LENGTH:
        raise FormError(f"a type has 1 to {WIT_TYPE_LENGTH} characters")
    return text


def path(text: str) -> str:
    """Check the path of a file."""
    if not text or "\0" in text:
        raise FormError(f'"{text[:80]}" is not a path')
    return text


def variable(text: str) -> str:
    """Check the name of an environment variable."""
    return _matching(_VARIABLE, text, "is not the name of an environment variable")


def variable_value(text: str) -> str:
    """Check the value of an environment variable."""
    if "\0" in text or len(text) > 1 << 15:
        raise FormError("the value of an environment variable holds no NUL and at most 32768 characters")
    return text


class HostPattern(msgspec.Struct, frozen=True):
    """An entry of `allowed_hosts` as written. None: not said."""

    scheme: Scheme
    host: str
    port: int
    methods: tuple[str, ...] | None = None
    allow_private: bool | None = None
    secrets: tuple[str, ...] = ()


def host_pattern(text: str) -> HostPattern:
    """Check `scheme://host[:port]`."""
    match = _ORIGIN.fullmatch(text)
    if match is None:
        raise FormError(f'"{text[:80]}" does not say http:// or https://')
    scheme = match["scheme"].lower()
    if scheme not in _DEFAULT_PORTS:
        raise FormError(f'"{text[:80]}": the scheme is http or https')
    rest, port = match["rest"], match["port"]
    if rest:
        raise FormError(f'"{text[:80]}": "{rest[:40]}" is left over after the host and port')
    if port is not None and not (port.isascii() and port.isdigit() and 0 < int(port[:6]) <= _LAST_PORT):
        raise FormError(f'"{text[:80]}": "{port[:20]}" is not a port')
    number = _DEFAULT_PORTS[scheme] if port is None else int(port)
    return HostPattern(cast("Scheme", scheme), host(match["host"]), number)


def host(text: str) -> str:
    """Check a host name, `*`, `*.name` or an IP address; give it in the one form it is compared in."""
    bare = text.strip("[]")
    try:
        return str(ipaddress.ip_address(bare))
    except ValueError:
        if text.startswith("["):
            raise FormError(f'"{text[:80]}" is not an IPv6 address') from None
    if text == "*":
        return text
    lower = text.lower().removesuffix(".")
    if not lower.isascii():
        _international(text)
    fixed = lower.removeprefix("*.")
    # A last label of digits is how inet_aton spells addresses (127.1, 0x7f.1): they would hide which one is meant.
    if not _DNS.fullmatch(fixed) or re.fullmatch(r"[0-9]+|0x[0-9a-f]*", fixed.rpartition(".")[2]):
        raise FormError(f'"{text[:80]}" is not a host name')
    return lower


def _international(text: str) -> NoReturn:
    try:
        ascii_form = text.lower().encode("idna").decode()
    except UnicodeError:
        raise FormError(f'"{text[:80]}" is not a host name') from None
    raise FormError(f'"{text[:80]}" is not ASCII', hint=f"write it as {ascii_form}")


def _matching(pattern: re.Pattern[str], text: str, complaint: str) -> str:
    if not pattern.fullmatch(text):
        raise FormError(f'"{text[:80]}" {complaint}')
    return text


NAME: Final = Text(
    "a name in quotes",
    "bad_name",
    "a name begins with a letter and has letters, digits, - and _, at most 64 in all",
    name,
    _NAME.pattern,
)
HOST: Final = Text(
    "a name in quotes",
    "bad_name",
    "the name of a host has letters, digits, ., - and _",
    own_host,
    _HOST.pattern,
)
LABEL: Final = Text(
    "a label in quotes",
    "bad_label",
    'a label has letters and digits and between them . _ / = -, at most 63 in all, for example "eu" or "zone=eu-1"',
    label,
    _LABEL.pattern,
)
LABELS: Final = Listing(LABEL, is_sorted=True)
DIGEST: Final = Text(
    "a digest in quotes",
    "bad_digest",
    "a digest is sha256: and 64 digits 0-9 a-f, in lower case",
    digest,
    _DIGEST.pattern,
)
FFQN: Final = Text(
    "", "bad_ffqn", 'write it in full and in quotes: "namespace:package/interface.function"', ffqn, _FFQN.pattern
)
STUB_FFQN: Final = Text(FFQN.expected, FFQN.code, FFQN.hint, stub_ffqn, FFQN.pattern)
PATH: Final = Text("a path in quotes", "bad_path", 'for example "components/orders.wasm"', path, _PATH)
WIT_PATH: Final = Text("a path in quotes", "bad_path", 'for example "wit/approval.wit"', path, _PATH)
WIT_TYPE: Final = Text(
    "a WIT type in quotes", "bad_wit_type", 'for example "u64", "list<string>", "result<bool, string>"', wit_type
)
COMPONENT_NAME: Final = Key(
    "name", NAME, "Names it in logs and commands; no two components share one.", example="example", required=True
)
COMPONENT_PATH: Final = Key(
    "path", PATH, "The component's file, relative to this one.", example="components/example.wasm", required=True
)
COMPONENT_DIGEST: Final = Key(
    "digest",
    DIGEST,
    "The SHA-256 of that file, which must match; only with --dev may it be left out.",
    example=f"sha256:{'0' * 64}",
)
PARAMETER: Final = Text(
    "a name in quotes", "bad_name", "write words of letters and digits, joined with -", parameter, _PARAMETER.pattern
)
VARIABLE: Final = Text("", "bad_env", "a name is not empty and holds no = and no NUL", variable, _VARIABLE.pattern)
VARIABLE_VALUE: Final = Text(
    "text", "bad_env", 'write text in quotes, for example "80"', variable_value, r"[^\0]{0,32768}"
)
ORIGIN: Final = Text(
    "a host in quotes",
    "bad_host",
    'write scheme://host or scheme://host:port, without a path: "https://api.example.com",\n'
    '"http://127.0.0.1:8080", "https://*.example.com"; "https://*" is every host',
    host_pattern,
    r"[Hh][Tt][Tt][Pp][Ss]?://[^/?#@]+",
)
HOST_TABLE: Final = TableOf(
    "an entry of allowed_hosts",
    (
        Key(
            "host",
            ORIGIN,
            "Where requests may go: scheme, host and port.",
            example="https://api.example.com",
            required=True,
        ),
        Key("methods", Listing(Choice(METHODS), least=1), "The methods allowed; all, if left out.", example=["GET"]),
        Key("allow_private", Boolean(), "As allow_private of the component, for this host only.", example=False),
        Key(
            "secrets", Listing(NAME), "The secrets of [secrets] that headers of requests may have.", example=["api-key"]
        ),
    ),
)


class HostEntry(msgspec.Struct, frozen=True):
    """An entry of `allowed_hosts`: just the host, or a table that says more."""

    def parse(self, value: object, place: Place) -> object:
        """Check it."""
        if not isinstance(value, dict):
            return ORIGIN.parse(value, place)
        before = len(place.reported)
        parsed = HOST_TABLE.parse(value, place)
        if len(place.reported) > before or not isinstance(parsed, dict):
            return INVALID
        return msgspec.structs.replace(parsed.pop("host"), **parsed)
