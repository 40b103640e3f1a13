"""Resolved values as an author would write them: TOML by dotted keys, with every default filled in."""

from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final, TypeAlias

import msgspec

from obelisk_config import keys
from obelisk_config.component_keys import FUNCTION, SETTINGS
from obelisk_config.database import DatabaseEntry
from obelisk_config.forms import host_pattern
from obelisk_config.model import (
    AllowedHost,
    ComponentKind,
    ComponentSpec,
    ComponentStub,
    CredentialSecret,
    Daemon,
    Database,
    EnvSecret,
    Executor,
    FileSecret,
    FunctionSettings,
    InlineStub,
    Postgresql,
    QueueLimits,
    Retention,
    SecretSource,
    StubSpec,
    TcpListen,
    Token,
    WitStub,
)
from obelisk_config.rules import NEVER, Duration, DurationOrNever, Key, Rule, Size
from obelisk_config.tables import TableOf, toml, toml_key
from obelisk_config.units import format_duration, format_size

Written: TypeAlias = dict[str, str]
"""Values by their dotted keys. What has neither a value nor a default is not there."""

_EXECUTOR: Final = tuple(key for key in keys.EXECUTOR.keys if key.name != "name")


def daemon(daemon: Daemon) -> Written:
    """Write `[daemon]`; paths are absolute."""
    return {f"daemon.{name}": text for name, text in _texts(keys.DAEMON.keys, daemon)}


def executor(executor: Executor) -> Written:
    """Write an executor without its name, which is part of the keys."""
    return {f"executor.{executor.name}.{name}": text for name, text in _texts(_EXECUTOR, executor)}


def executor_table(executor: Executor) -> str:
    """Write an executor as one table."""
    return toml({key.name: _authored(key.rule, getattr(executor, key.name)) for key in _EXECUTOR})


def queue_limits(limits: QueueLimits) -> Written:
    """Write `[limits]`."""
    return {f"limits.{name}": text for name, text in _texts(keys.LIMITS.keys, limits)}


def retention(kept: Retention) -> Written:
    """Write `[retention]`."""
    return {f"retention.{name}": text for name, text in _texts(keys.RETENTION.keys, kept)}


def function(kind: ComponentKind, settings: FunctionSettings) -> Written:
    """Write the settings of a function, or those of a component that its functions may override."""
    return dict(_texts(FUNCTION[kind].keys, settings))


def component(spec: ComponentSpec, beside: Path) -> Written:
    """Write a component but for its functions and digest; a path below the directory `beside` starts there."""
    inherited = {key.name for key in FUNCTION[spec.kind].keys} | {"allowed_hosts"}
    own = [key for key in SETTINGS[spec.kind].keys if key.name not in inherited]
    return {
        "path": _path(spec.path, beside),
        **{f"env.{toml_key(name)}": toml(value) for name, value in spec.env.items()},
        **function(spec.kind, spec.settings),
        "allowed_hosts": toml([_host(host, spec.allow_private) for host in spec.allowed_hosts]),
        **dict(_texts(own, spec)),
    }


def secrets(sources: Mapping[str, SecretSource], beside: Path) -> Written:
    """Write `[secrets]`: where each is, as nothing else is known of it."""
    return {f"secrets.{name}": _secret(source, beside) for name, source in sources.items()}


def tokens(of: Iterable[Token]) -> Written:
    """Write each `[[token]]` as one table, by its name."""
    return {f"token.{one.name}": _token(one) for one in of}


def stub(spec: StubSpec, beside: Path) -> Written:
    """Write what a stub says of its functions, but for a digest; paths as those of a component."""
    match spec.source:
        case InlineStub(ffqn, params, returns):
            result = {} if returns is None else {"returns": toml(returns)}
            return {"ffqn": toml(ffqn), "params": toml([msgspec.structs.asdict(one) for one in params]), **result}
        case WitStub(path):
            return {"wit": _path(path, beside)}
        case ComponentStub(path):
            return {"path": _path(path, beside)}


def _texts(of: Iterable[Key], values: Any) -> Iterator[tuple[str, str]]:
    for key in of:
        value = getattr(values, key.name)
        if isinstance(key.rule, TableOf):
            yield from ((f"{key.name}.{name}", text) for name, text in _texts(key.rule.keys, value))
        elif value is not None or isinstance(key.rule, DurationOrNever):
            yield key.name, toml(_authored(key.rule, value))


def _authored(rule: Rule, value: Any) -> object:
    match rule:
        case Duration():
            return format_duration(value)
        case DurationOrNever():
            return NEVER if value is None else format_duration(value)
        case Size():
            return format_size(value)
        case DatabaseEntry():
            return _database(value)
        case _:
            return [_item(one) for one in value] if isinstance(value, tuple) else value


def _item(one: object) -> object:
    if not isinstance(one, TcpListen) or one == TcpListen(one.host, one.port):
        return str(one)
    more: dict[str, object] = {} if one.tls is None else {"tls": msgspec.structs.asdict(one.tls)}
    more |= {name: getattr(one, name) for name in ("trusted_proxy", "hosts") if getattr(one, name)}
    return {"address": str(one), **more}


def _database(database: Database) -> object:
    if not isinstance(database, Postgresql):
        return str(database)
    password = database.password
    return database.url if password is None else {"url": database.url, "password": _source(password)}


def _host(host: AllowedHost, allow_private: bool) -> object:
    """Write an entry of `allowed_hosts`: only its host where the rest is as the component says."""
    shown = f"[{host.host}]" if ":" in host.host else host.host
    origin = f"{host.scheme}://{shown}"
    if host.port != host_pattern(origin).port:
        origin += f":{host.port}"
    more: dict[str, object] = {} if host.methods is None else {"methods": host.methods}
    if host.allow_private != allow_private:
        more["allow_private"] = host.allow_private
    if host.secrets:
        more["secrets"] = host.secrets
    return {"host": origin, **more} if more else origin


def _secret(source: SecretSource, beside: Path) -> str:
    return f"{{ file = {_path(source.path, beside)} }}" if isinstance(source, FileSecret) else toml(_source(source))


def _source(source: SecretSource) -> dict[str, str]:
    match source:
        case EnvSecret(variable):
            return {"env": variable}
        case FileSecret(path):
            return {"file": path}
        case CredentialSecret(name):
            return {"credential": name}


def _token(token: Token) -> str:
    expires = {} if token.expires is None else {"expires": token.expires.isoformat()}
    return toml({"role": token.role, "sha256": token.sha256, **expires})


def _path(path: str, beside: Path) -> str:
    inside = Path(path).is_relative_to(beside)
    return toml(str(Path(path).relative_to(beside)) if inside else path)
