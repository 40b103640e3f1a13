"""The text of `obelisk.toml.example`, made from the key tables.

`python -m obelisk_config.example > obelisk.toml.example` writes it anew after a change of `keys`.
"""

import sys
from collections.abc import Iterator
from typing import Final

import msgspec

from obelisk_config import component_keys, keys
from obelisk_config.forms import COMPONENT_NAME
from obelisk_config.model import ComponentKind
from obelisk_config.rules import Key
from obelisk_config.secrets import SECRET
from obelisk_config.stubs import SOURCES, STUB
from obelisk_config.tables import TableOf, toml
from obelisk_config.tokens import TOKEN

_TOP: Final = """\
#:schema ./obelisk.schema.json
# Every key of obelisk.toml with its default. All of them may be left out but name, path and digest of a component,
# and what the functions of a stub are.
# Durations are written "250ms", "30s", "5m", "1h", "7d"; sizes "64KiB", "256MiB", "1GiB".
"""
_LISTENER: Final = """\
# An entry of listen may be a table, here with every key; beyond the loopback tls or trusted_proxy is needed:
# listen = [{ address = "0.0.0.0:5005", tls = { cert = "cert.pem", key = "key.pem" }, hosts = ["obelisk.example.com"] },
#   { address = "10.0.0.1:5006", trusted_proxy = ["10.0.0.5"], hosts = ["obelisk.example.com"] }]
"""
_DATABASE: Final = """\
# A password may not stand in the URL: a table says where it is, in the same ways as for a secret. Instead of the above:
# database.url = "postgresql://obelisk@db.example.com/obelisk?sslmode=verify-full"
# database.password = { credential = "database" }
"""
_SEVERAL: Final = """\
# Instead of one table there may be several, each with a name of its own, and all with the same lease:
# [[executor]]
# name = "default"
# max_running = 200
# [[executor]]
# name = "gpu"
# labels = ["gpu"]
# max_running = 4
"""
_FUNCTION: Final = "example:package/interface.function"


def example() -> str:
    """Write the example manifest."""
    sections = [
        _TOP,
        _section("[daemon]", keys.DAEMON.keys) + _LISTENER + _DATABASE,
        _section("[executor]", keys.EXECUTOR.keys) + _SEVERAL,
        _section("[limits]", keys.LIMITS.keys),
        _section("[retention]", keys.RETENTION.keys),
    ]
    for kind, table in component_keys.SETTINGS.items():
        article = "an activity" if kind == "activity" else "a workflow"
        head = f"# What holds for {article} unless its own table says otherwise: each of these keys may be there too."
        sections.append(f"{head}\n{_section(f'[defaults.{kind}]', table.keys, unset='# ')}")
        sections.append(_section(f"[[{kind}]]", _own_keys(kind)))
        head = "# What holds for one of its functions only, named in full."
        sections.append(
            f'{head}\n{_section(f"""[{kind}.functions."{_FUNCTION}"]""", component_keys.FUNCTION[kind].keys)}'
        )
    return "\n".join((*sections, *_stubs(), _tokens(), _secrets()))


def _stubs() -> Iterator[str]:
    """Write a stub of each of the three ways, of which a stub has one."""
    head = "# A stub is never run: a workflow, a person or a program gives its executions their results.\n"
    for source, companions in SOURCES.items():
        own = [key for key in STUB.keys if key.name in ("name", source, *companions)]
        example = {"ffqn": "my-stub", "wit": "my-wit-stub", "path": "my-component-stub"}[source]
        doc = own[0].doc if source == "ffqn" else COMPONENT_NAME.doc
        own[0] = msgspec.structs.replace(own[0], example=example, doc=doc)
        yield head + _section("[[stub]]", tuple(own))
        head = "# The same, with another way to say what its functions are.\n"


def _tokens() -> str:
    head = "# Who may use the API over TCP; `obelisk-ctl token new` makes a token and its table.\n"
    return head + _section("[[token]]", TOKEN.keys)


def _secrets() -> str:
    """Write a secret of each source, as comments: which ones there are is the author's choice."""
    head = "# Values for headers of requests, each where its one key says; allowed_hosts says where it may go.\n"
    head += "# An activity has a placeholder, in the variable API_KEY for api-key, and never sees the value.\n"
    names = ("api-key", "other-key", "third-key")
    lines = [
        f"# {key.doc}\n# {name} = {toml({key.name: key.example})}\n"
        for name, key in zip(names, SECRET.keys, strict=True)
    ]
    return f"{head}[secrets]\n{''.join(lines)}"


def _own_keys(kind: ComponentKind) -> tuple[Key, ...]:
    inherited = {key.name for key in component_keys.SETTINGS[kind].keys} | {"functions"}
    examples = {"name": f"my-{kind}", "path": f"components/my_{kind}.wasm"}
    return tuple(
        msgspec.structs.replace(key, example=examples.get(key.name, key.example))
        for key in component_keys.COMPONENT[kind].keys
        if key.name not in inherited
    )


def _section(header: str, of: tuple[Key, ...], unset: str = "") -> str:
    """Write a table; before an example of a key without a default stands `unset`."""
    return "\n".join([header, *_lines(of, "", unset)]) + "\n"


def _lines(of: tuple[Key, ...], prefix: str, unset: str) -> Iterator[str]:
    for key in of:
        if isinstance(key.rule, TableOf):
            yield from _lines(key.rule.keys, f"{prefix}{key.name}.", unset)
            continue
        yield f"# {key.doc}"
        if key.default is not None:
            yield f"{prefix}{key.name} = {toml(key.default)}"
        if key.example is not None:
            yield f"{unset if key.default is None else '# '}{prefix}{key.name} = {toml(key.example)}"


if __name__ == "__main__":
    sys.stdout.write(example())
