"""The tables of keys agree with the model, with themselves, with the example and with the daemon."""

import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from obelisk_config import (
    AllowedHost,
    Backoff,
    ComponentSpec,
    ComponentStub,
    Daemon,
    Executor,
    FunctionSettings,
    InlineStub,
    Limits,
    Log,
    StubParameter,
    Surroundings,
    draft,
    forms,
    keys,
    stubs,
)
from obelisk_config.example import example
from obelisk_config.model import SecretSource
from obelisk_config.rules import FormError, Key
from obelisk_config.secrets import SECRET
from obelisk_config.tables import TableOf, TablesOf, toml
from obelisk_daemon.errors import CallerError
from obelisk_daemon.ffqn import Ffqn

EXAMPLE = Path(__file__).parents[3] / "obelisk.toml.example"
FUNCTION = "example:package/interface.function"


def names(table: TableOf) -> set[str]:
    return {key.name for key in table.keys}


def fields(*structs: Any) -> set[str]:
    return {name for struct in structs for name in struct.__struct_fields__}


def every_table(table: TableOf) -> list[TableOf]:
    found = [table]
    for key in table.keys:
        rule = key.rule.table if isinstance(key.rule, TablesOf) else key.rule
        if isinstance(rule, TableOf):
            found += every_table(rule)
    return found


def test_every_key_is_a_field_of_the_model_and_every_field_a_key() -> None:
    assert names(keys.DAEMON) == fields(Daemon)
    assert names(keys.LOG) == fields(Log)
    assert names(keys.EXECUTOR) == fields(Executor)
    assert names(keys.BACKOFF) == fields(Backoff)
    assert names(keys.ACTIVITY_LIMITS) | names(keys.WORKFLOW_LIMITS) == fields(Limits)
    assert names(forms.HOST_TABLE) | {"scheme", "port"} == fields(AllowedHost)
    assert names(keys.FUNCTION["activity"]) == fields(FunctionSettings) - {"cancellable"}
    assert names(keys.FUNCTION["workflow"]) == fields(FunctionSettings)
    both = names(keys.COMPONENT["activity"]) | names(keys.COMPONENT["workflow"])
    assert both == fields(ComponentSpec, FunctionSettings) - {"kind", "settings"}
    assert names(stubs.STUB) == {"name", "wit"} | fields(InlineStub, ComponentStub)
    assert names(stubs.PARAMETER) == fields(StubParameter)
    assert names(SECRET) == {source.__struct_config__.tag for source in get_args(SecretSource)}


def test_every_key_of_a_stub_goes_with_one_of_the_ways_to_say_what_its_functions_are() -> None:
    ways = {key for source, companions in stubs.SOURCES.items() for key in (source, *companions)}
    assert names(stubs.STUB) == {"name"} | ways


def test_no_key_is_said_to_belong_elsewhere() -> None:
    for table in every_table(keys.MANIFEST):
        assert names(table).isdisjoint(table.elsewhere), table.name


def test_every_default_satisfies_its_own_rule() -> None:
    for table in every_table(keys.MANIFEST):
        table.defaults()


def test_every_key_has_one_sentence() -> None:
    for table in every_table(keys.MANIFEST):
        for key in table.keys:
            if table is not keys.DEFAULTS:
                assert key.doc.endswith("."), f"{table.name} {key.name}"
                assert key.doc.count(". ") == 0, f"{table.name} {key.name}"


def test_the_example_file_is_the_one_made_from_the_keys() -> None:
    assert EXAMPLE.read_text() == example(), "run: python -m obelisk_config.example > obelisk.toml.example"


def test_the_example_holds_every_key_with_its_default() -> None:
    read = tomllib.loads(EXAMPLE.read_text())
    sections: list[tuple[dict[str, Any], tuple[Key, ...]]] = [
        (read["daemon"], keys.DAEMON.keys),
        (read["executor"], keys.EXECUTOR.keys),
    ]
    for kind, table in keys.SETTINGS.items():
        sections.append((read["defaults"][kind], table.keys))
        sections.append((read[kind][0] | read["defaults"][kind], keys.COMPONENT[kind].keys))
        sections.append((read[kind][0]["functions"][FUNCTION], keys.FUNCTION[kind].keys))
    sections.append(({name: value for stub in read["stub"] for name, value in stub.items()}, stubs.STUB.keys))
    for section, table_keys in sections:
        assert section.keys() == {key.name for key in table_keys}
        for key in table_keys:
            if key.default is not None and key.name != "functions":
                assert section[key.name] == key.default, key.name


def test_the_example_shows_every_source_of_a_secret_in_a_form_that_is_right() -> None:
    _, _, after = EXAMPLE.read_text().partition("[secrets]\n")
    shown = "".join(line.removeprefix("# ") + "\n" for line in after.splitlines() if " = { " in line)
    drafted = draft(f"[secrets]\n{shown}".encode(), EXAMPLE)
    assert [type(source).__struct_config__.tag for source in drafted.manifest.secrets.values()] == [
        key.name for key in SECRET.keys
    ]
    assert {one.code for one in drafted.diagnostics} == {"unused_secret"}


def test_the_example_resolves_to_the_same_as_a_manifest_without_the_keys_it_explains() -> None:
    digest = f"sha256:{'0' * 64}"
    short = "".join(
        f'[[{kind}]]\nname = "my-{kind}"\npath = "components/my_{kind}.wasm"\ndigest = "{digest}"\n'
        f'[{kind}.functions."{FUNCTION}"]\n'
        for kind in ("activity", "workflow")
    )
    for stub in tomllib.loads(EXAMPLE.read_text())["stub"]:
        short += "[[stub]]\n" + "".join(f"{key} = {toml(value)}\n" for key, value in stub.items())
    full = draft(EXAMPLE.read_bytes(), Path("/etc/obelisk/obelisk.toml"), Surroundings())
    least = draft(short.encode(), Path("/etc/obelisk/obelisk.toml"), Surroundings())
    assert full.diagnostics == ()
    assert full.manifest.daemon == least.manifest.daemon
    assert full.manifest.executor == least.manifest.executor
    assert full.manifest.components == least.manifest.components
    assert full.manifest.stubs == least.manifest.stubs
    assert [stub.name for stub in full.manifest.stubs] == ["my-stub", "my-wit-stub", "my-component-stub"]


@pytest.mark.parametrize(
    "text",
    [
        "a:b/c.d",
        "a:b/c@1.0.0-rc.1+x.d",
        "my-ns:my-pkg/my-ifc.my-fn",
        "a:b/c.%list",
        "A:b/c.d",
        "a:b/c",
        "a:b.c",
        "a/b.c",
        "a:b/c.d.e",
        "a:b/c.1",
        "é:b/c.d",
        "",
        "a:b/c.d\n",
    ],
)
def test_a_function_name_is_one_for_the_manifest_as_it_is_for_the_daemon(text: str) -> None:
    def accepts(check: Any, error: type[Exception]) -> bool:
        try:
            check(text)
        except error:
            return False
        return True

    assert accepts(forms.ffqn, FormError) == accepts(Ffqn.parse, CallerError)
