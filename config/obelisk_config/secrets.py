"""The `[secrets]` table: where each value is, and which hosts may have it. No value is ever in the manifest."""

import ipaddress
import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from obelisk_config import forms
from obelisk_config.diagnostics import Diagnostic, Span, has_errors
from obelisk_config.document import Document, KeyPath
from obelisk_config.model import (
    ComponentSpec,
    CredentialSecret,
    EnvSecret,
    FileSecret,
    SecretSource,
)
from obelisk_config.place import INVALID, Place
from obelisk_config.rules import FormError, Key, Text, nearest
from obelisk_config.tables import MapOf, Parsed, TableOf

_CREDENTIAL: Final = re.compile(r"(?!\.{1,2}$)[!-.0-9;-~]{1,255}")
"""What systemd takes for a name: visible ASCII without `/` and `:`, and none of the two directories."""
_DEEPEST: Final = 64
_HOW: Final = 'write { credential = "name" }, which systemd gives, or { env = "VARIABLE" }, or { file = "path" }'
_NEVER: Final = f"a manifest says where a secret is, never what it is:\n{_HOW}"


def credential(text: str) -> str:
    """Check the name of a credential of systemd."""
    if not _CREDENTIAL.fullmatch(text):
        raise FormError(f'"{text[:80]}" is not the name of a credential')
    return text


def secret_variable(name: str) -> str:
    """Give the environment variable that holds a secret's placeholder in a guest: `API_KEY` for `api-key`."""
    return name.upper().replace("-", "_")


SECRET: Final = TableOf(
    "a secret",
    (
        Key(
            "credential",
            Text(
                "a name in quotes",
                "bad_source",
                "a credential's name has visible ASCII characters, without / and :",
                credential,
                _CREDENTIAL.pattern,
            ),
            "A credential of systemd, as its unit has it: LoadCredential=api-key:/etc/obelisk/secrets/api-key.",
            example="api-key",
        ),
        Key(
            "env",
            Text(
                "a name in quotes",
                "bad_source",
                "a name is not empty and holds no = and no NUL",
                forms.variable,
                forms.VARIABLE.pattern,
            ),
            "An environment variable of the daemon.",
            example="API_KEY",
        ),
        Key("file", forms.PATH, "A file, relative to this one.", example="secrets/api-key"),
    ),
    dict.fromkeys(("value", "text", "key", "secret", "password", "token"), _NEVER),
)
"""The keys of which a secret has one."""
SOURCES: Final = frozenset(key.name for key in SECRET.keys)


class SecretEntry(msgspec.Struct, frozen=True):
    """An entry of `[secrets]`. Never shows what was written in place of a table."""

    def parse(self, value: object, place: Place) -> object:
        """Check it."""
        if not isinstance(value, dict):
            return place.error("secret_in_manifest", f'the value of the secret "{place.name}" is written here', _NEVER)
        before = len(place.reported)
        parsed = SECRET.parse(value, place)
        if len(place.reported) > before or not isinstance(parsed, dict):
            return INVALID
        if not parsed:
            return place.error("no_source", f'the secret "{place.name}" does not say where it is', _HOW)
        chosen, *others = parsed
        for key in others:
            place.child(key).key_error("several_sources", f"a secret has {key} beside {chosen}", "keep one of them")
        return INVALID if others else _source(chosen, parsed[chosen])


class SecretsTable(MapOf, frozen=True):
    """The `[secrets]` table; in guests each secret has an environment variable of its own."""

    def parse(self, value: object, place: Place) -> Any:
        """Check every name and entry."""
        if not isinstance(value, dict):
            return place.error("bad_type", "secrets: expected the table [secrets]", f"for each of its keys\n{_HOW}")
        parsed = super().parse(value, place)
        first: dict[str, str] = {}
        for name in parsed if isinstance(parsed, dict) else ():
            variable = secret_variable(name)
            other = first.setdefault(variable, name)
            if other != name:
                message = f'"{name}" would be the environment variable {variable}, as "{other}" is'
                place.child(name).key_error("duplicate_secret", message, "choose another name")
        return parsed


SECRETS: Final = SecretsTable(forms.NAME, SecretEntry())


def _source(key: str, value: str) -> SecretSource:
    match key:
        case "env":
            return EnvSecret(value)
        case "file":
            return FileSecret(value)
        case _:
            return CredentialSecret(value)


def located(source: SecretSource, beside: Path) -> SecretSource:
    """Make the path of a file absolute; it starts at the directory `beside`."""
    return FileSecret(str(beside / source.path)) if isinstance(source, FileSecret) else source


def hide_plain_values(document: Document) -> None:
    """Hide what an author wrote into `[secrets]` in place of a source, before any line of it is shown."""
    for path, _ in leaves(document.values.get("secrets"), ("secrets",)):
        if len(path) != 3 or path[-1] not in SOURCES:
            document.hide(path)


def leaves(value: object, path: KeyPath) -> Iterator[tuple[KeyPath, object]]:
    """Give all values below a path that are no tables or lists, each with its own path."""
    if isinstance(value, dict | list) and len(path) < _DEEPEST:
        for part, one in value.items() if isinstance(value, dict) else enumerate(value):
            yield from leaves(one, (*path, part))
    else:
        yield path, value


def check_secrets(
    parsed: Parsed, components: tuple[ComponentSpec, ...], positions: Mapping[str, tuple[str, int]], root: Place
) -> None:
    """Report hosts that name what is not there or should not have it, variables taken twice, and unused secrets."""
    written = root.document.values.get("secrets", {})
    names = written if isinstance(written, dict) else {}
    for place, hosts in _authored_hosts(parsed, root):
        for number, host in enumerate(hosts):
            if host.secrets:
                _check_host(host, place.child(number), names)
    for spec in components:
        kind, number = positions[spec.name]
        _check_variables(spec, root.child(kind).child(number).child("env"))
    if not has_errors(root.reported):  # with errors nobody knows what the hosts would name
        _warn_of_unused(parsed, root)


def _authored_hosts(parsed: Parsed, root: Place) -> Iterator[tuple[Place, tuple[forms.HostPattern, ...]]]:
    defaults = parsed.get("defaults", {}).get("activity", {})
    yield root.child("defaults").child("activity").child("allowed_hosts"), defaults.get("allowed_hosts", ())
    for number, authored in parsed.get("activity", ()):
        yield root.child("activity").child(number).child("allowed_hosts"), authored.get("allowed_hosts", ())


def _check_host(host: forms.HostPattern, place: Place, names: Mapping[str, object]) -> None:
    for number, name in enumerate(host.secrets):
        if name not in names:
            hint = nearest(name, names) or f'add it to [secrets]: {name} = {{ credential = "{name}" }}'
            place.child("secrets").child(number).error("unknown_secret", f'[secrets] has no "{name}"', hint)
    if host.host == "*":
        message = "a secret may not go to every host there is"
        place.child("host").error("secret_for_every_host", message, "name the hosts that need it, one entry for each")
    elif host.scheme == "http" and not _is_loopback(host.host):
        hint = "use https, unless the network between is yours"
        span = place.document.at((*place.path, "host"))
        _warn(place, "secret_unencrypted", f"secrets for {host.host} go over the network as they are", hint, span=span)


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _check_variables(spec: ComponentSpec, place: Place) -> None:
    for name in spec.secrets:
        variable = secret_variable(name)
        if variable in spec.env:
            message = f'{variable} is the variable of the secret "{name}", which an allowed host names'
            place.child(variable).key_error("env_of_secret", message, "take it out, or rename the secret")


def _warn_of_unused(parsed: Parsed, root: Place) -> None:
    used = {name for _, hosts in _authored_hosts(parsed, root) for host in hosts for name in host.secrets}
    for name in parsed.get("secrets", {}):
        if name not in used:
            place = root.child("secrets").child(name)
            hint = f'name it where it may go: allowed_hosts = [{{ host = "https://...", secrets = ["{name}"] }}]'
            span = root.document.key(place.path)
            _warn(place, "unused_secret", f'no allowed host names the secret "{name}"', hint, span=span)


def _warn(place: Place, code: str, message: str, hint: str, *, span: Span) -> None:
    place.reported.append(Diagnostic(code, message, span, hint, "warning"))
