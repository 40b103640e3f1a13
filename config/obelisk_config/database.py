"""Where executions are kept: the `database` key. A password is never in it, as the manifest is stored and shown."""

import ipaddress
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final
from urllib.parse import quote, unquote

import msgspec

from obelisk_config.diagnostics import Diagnostic
from obelisk_config.document import Document
from obelisk_config.model import Database, Postgresql, SecretSource, Sqlite
from obelisk_config.place import INVALID, Place
from obelisk_config.rules import FormError, Key, Text, nearest
from obelisk_config.secrets import SOURCES, SecretEntry, leaves
from obelisk_config.secrets import located as located_secret
from obelisk_config.tables import TableOf

_URL: Final = re.compile(
    r"postgres(?:ql)?://(?:(?P<user>[^@/?#]*)@)?(?P<hosts>[^@/?#]*)(?:/(?P<name>[^/?#]*))?(?:\?(?P<options>.*))?",
    re.DOTALL,
)
_HOST: Final = re.compile(r"(?:\[[0-9A-Fa-f:.%]+\]|[A-Za-z0-9._%-]*)(?::(?P<port>[0-9]{1,5}))?", re.ASCII)
_PASSWORD: Final = re.compile(r"://[^@]*:[^@]*@|[?&]\s*(?:ssl)?password\s*=|\bpassword\s*=", re.IGNORECASE)
_BAD_ESCAPE: Final = re.compile(r"%(?![0-9A-Fa-f]{2})|%00|[\0-\x20\x7f]")
_LAST_PORT: Final = 65_535
_FILES: Final = frozenset(("sslrootcert", "sslcert", "sslkey", "sslcrl", "sslcrldir"))
_CHECKED: Final = frozenset(("verify-ca", "verify-full"))
_MODES: Final = ("disable", "allow", "prefer", "require", "verify-ca", "verify-full")
_OPTIONS: Final = _FILES | frozenset(
    (
        "host",
        "hostaddr",
        "port",
        "user",
        "sslmode",
        "sslsni",
        "sslnegotiation",
        "ssl_min_protocol_version",
        "channel_binding",
        "require_auth",
        "gssencmode",
        "krbsrvname",
        "target_session_attrs",
        "load_balance_hosts",
        "connect_timeout",
        "tcp_user_timeout",
        "keepalives",
        "keepalives_idle",
        "keepalives_interval",
        "keepalives_count",
        "options",
        "application_name",
    )
)
"""Those of libpq that say how to connect, and none that would be a password or would bring one."""
_FORM: Final = 'write "sqlite", or "postgresql://user@host/name?sslmode=verify-full", of which the name is a database'
_APART: Final = (
    "take it out and say where it is, which is never shown:\n"
    'database = { url = "postgresql://user@host/name", password = { credential = "name" } }\n'
    'or password = { env = "VARIABLE" }, or password = { file = "path" }; an @ that is none of user@ is written %40'
)
_SERVER: Final = "add sslmode=verify-full to the URL, and sslrootcert=FILE if the server's certificate is of an own CA"


def holds_password(text: str) -> bool:
    """Tell if a text could be the address of a database with a password in it."""
    return _PASSWORD.search(text) is not None


def _database(text: str) -> Database:
    return Sqlite() if text == "sqlite" else _postgresql(text)


def _postgresql(text: str) -> Postgresql:
    """Check a URL, and never repeat more of it than can't be a password."""
    if holds_password(text):
        raise FormError("a password is written here", code="secret_in_manifest", hint=_APART)
    scheme, separator, rest = text.partition("://")
    if scheme.startswith("sqlite"):
        hint = 'write database = "sqlite"; its file is in state_dir, which says where'
        raise FormError("SQLite's database has no place of its own", hint=hint)
    if not separator or scheme not in ("postgresql", "postgres"):
        raise FormError(f'"{scheme[:40]}" is no kind of database', hint=nearest(text, ("sqlite",)) or _FORM)
    match = _URL.fullmatch(text)
    if match is None:
        raise FormError("this is not the URL of a database")
    if found := _BAD_ESCAPE.search(text):
        raise FormError(f"{found[0]!r} can't stand in a URL", hint="write % and two hexadecimal digits for it: %20")
    if not match["name"]:
        raise FormError(
            "the URL names no database", hint='write its name after the host: "postgresql://user@host/name"'
        )
    for host in match["hosts"].split(","):
        _check_host(host)
    _check_options(match["options"])
    return Postgresql(f"postgresql://{rest}")


def parse_postgresql(text: str, password: SecretSource | None, beside: Path) -> Postgresql:
    """Check a URL that is not of a manifest; relative paths start at the directory `beside`.

    Raises:
        FormError: it is none, or has a password in it.
    """
    return _located(Postgresql(_postgresql(text).url, password), beside)


def _check_host(text: str) -> None:
    match = _HOST.fullmatch(text)
    if match is None:
        raise FormError(f'"{text[:80]}" is not a host, or a host and a port')
    if match["port"] is not None and not 0 < int(match["port"]) <= _LAST_PORT:
        raise FormError(f'"{match["port"]}" is not a port', hint="a port is a number from 1 to 65535")


def _check_options(text: str | None) -> None:
    seen: set[str] = set()
    for name, value in _options(text):
        if name not in _OPTIONS:
            secret = "pass" in name or name == "service"
            hint = _APART if secret else nearest(name, _OPTIONS) or "leave it out"
            raise FormError(f'the URL has no option "{name[:40]}"', hint=hint)
        if name in seen:
            raise FormError(f"the option {name} is there twice", hint="keep one of them")
        if name == "sslmode" and value not in _MODES:
            raise FormError(f'sslmode: "{value[:40]}" is not one of {", ".join(_MODES)}', hint="write verify-full")
        seen.add(name)


def _options(text: str | None) -> Iterator[tuple[str, str]]:
    for one in text.split("&") if text else ():
        name, _, value = one.partition("=")
        yield name, unquote(value)


def hide_passwords(document: Document) -> None:
    """Hide what could be a password where the database is told, before any line of it is shown."""
    daemon = document.values.get("daemon")
    for path, value in leaves(daemon.get("database") if isinstance(daemon, dict) else None, ("daemon", "database")):
        is_source = path[2:3] == ("password",) and len(path) == 4 and path[-1] in SOURCES
        if holds_password(str(value)) or not (is_source or path[-1] in ("database", "url")):
            document.hide(path)


def located(database: Database, beside: Path) -> Database:
    """Make the paths of files absolute; they start at the directory `beside`."""
    return database if isinstance(database, Sqlite) else _located(database, beside)


def _located(database: Postgresql, beside: Path) -> Postgresql:
    address, separator, options = database.url.partition("?")
    whole = "&".join(f"{name}={_option(name, value, beside)}" for name, value in _options(options))
    password = None if database.password is None else located_secret(database.password, beside)
    return Postgresql(f"{address}{separator}{whole}", password)


def _option(name: str, value: str, beside: Path) -> str:
    is_path = name in _FILES and not (name == "sslrootcert" and value == "system")
    return quote(str(beside / value) if is_path else value, safe="/:,")


ADDRESS: Final = Text(
    '"sqlite" or the URL of a PostgreSQL database in quotes',
    "bad_database",
    _FORM,
    _database,
    r"sqlite|postgres(ql)?://[^\0- ]+",
)
URL: Final = Text(
    "the URL of a PostgreSQL database in quotes",
    "bad_database",
    'write "postgresql://user@host/name?sslmode=verify-full", of which the name is a database',
    _postgresql,
    r"postgres(ql)?://[^\0- ]+",
)
DATABASE_TABLE: Final = TableOf(
    "database",
    (
        Key(
            "url",
            URL,
            "The address of a PostgreSQL database, without a password.",
            example="postgresql://obelisk@db.example.com/obelisk?sslmode=verify-full",
            required=True,
        ),
        Key("password", SecretEntry(), "Where its password is, as for a secret; read for each new connection."),
    ),
)


class DatabaseEntry(msgspec.Struct, frozen=True):
    """The `database` key: a word or an address, or a table that says where the password is."""

    def parse(self, value: object, place: Place) -> object:
        """Check it; warn of a server whom what is sent could be read or answered in the place of."""
        if not isinstance(value, dict):
            found = ADDRESS.parse(value, place)
        else:
            before = len(place.reported)
            parsed = DATABASE_TABLE.parse(value, place)
            if len(place.reported) > before or not isinstance(parsed, dict):
                return INVALID
            found = msgspec.structs.replace(parsed["url"], password=parsed.get("password"))
        if isinstance(found, Postgresql):
            _warn_of_network(found, place.child("url") if isinstance(value, dict) else place)
        return found


def _warn_of_network(database: Postgresql, place: Place) -> None:
    match = _URL.fullmatch(database.url)
    assert match is not None, "it is checked"
    options = dict(_options(match["options"]))
    hosts = (options.get("hostaddr") or options.get("host") or match["hosts"]).split(",")
    far = next((one for one in hosts if not _is_here(one)), None)
    mode = options.get("sslmode", "prefer")
    if far is None or mode in _CHECKED or (mode == "require" and "sslrootcert" in options):
        return
    danger = "who answers there is not checked" if mode == "require" else "what is sent may be read on the way"
    message = f"the database is reached over the network, and with sslmode={mode} {danger}"
    place.reported.append(
        Diagnostic("database_unprotected", message, place.document.at(place.path), _SERVER, "warning")
    )


def _is_here(host: str) -> bool:
    """Tell a unix socket and the loopback."""
    name = unquote(host)
    bare = name[1:].partition("]")[0] if name.startswith("[") else name.partition(":")[0]
    if not bare or bare.startswith(("/", "@")) or bare == "localhost":
        return True
    try:
        return ipaddress.ip_address(bare).is_loopback
    except ValueError:
        return False
