"""The tables of keys agree with the model, with themselves, with the example and with the daemon."""

import re
import tomllib
from pathlib import Path
from typing import Any, get_args

import pytest

from obelisk_config import (
    AllowedHost,
    Backoff,
    ComponentSpec,
    ComponentStub,
    CredentialSecret,
    Daemon,
    Executor,
    FunctionSettings,
    InlineStub,
    Limits,
    Log,
    Postgresql,
    QueueLimits,
    StubParameter,
    Surroundings,
    TcpListen,
    Tls,
    Token,
    component_keys,
    database,
    draft,
    forms,
    keys,
    listening,
    stubs,
    tokens,
)
from obelisk_config.example import example
from obelisk_config.model import SecretSource
from obelisk_config.rules import FormError, Key
from obelisk_config.secrets import SECRET
from obelisk_config.tables import TableOf, TableOrTables, TablesOf, toml
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
        rules = (key.rule.one, key.rule.many) if isinstance(key.rule, TableOrTables) else (key.rule,)
        for rule in rules:
            inner = rule.table if isinstance(rule, TablesOf) else rule
            if isinstance(inner, TableOf):
                found += every_table(inner)
    return found


def test_every_key_is_a_field_of_the_model_and_every_field_a_key() -> None:
    assert names(keys.DAEMON) == fields(Daemon)
    assert names(keys.LOG) == fields(Log)
    assert names(database.DATABASE_TABLE) == fields(Postgresql)
    assert names(listening.LISTEN_TABLE) == {"address"} | (fields(TcpListen) - {"host", "port"})
    assert names(listening.TLS) == fields(Tls)
    assert names(tokens.TOKEN) == fields(Token)
    assert names(keys.EXECUTOR) == names(keys.EXECUTORS) == fields(Executor)
    assert names(keys.LIMITS) == fields(QueueLimits)
    assert names(component_keys.BACKOFF) == fields(Backoff)
    assert names(component_keys.ACTIVITY_LIMITS) | names(component_keys.WORKFLOW_LIMITS) == fields(Limits)
    assert names(forms.HOST_TABLE) | {"scheme", "port"} == fields(AllowedHost)
    assert names(component_keys.FUNCTION["activity"]) == fields(FunctionSettings) - {"cancellable"}
    assert names(component_keys.FUNCTION["workflow"]) == fields(FunctionSettings)
    both = names(component_keys.COMPONENT["activity"]) | names(component_keys.COMPONENT["workflow"])
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


def unset(kind: str) -> dict[str, Any]:
    """The settings that the example has in comments only, since they have no default."""
    section = EXAMPLE.read_text().partition(f"[defaults.{kind}]\n")[2].partition("\n\n")[0]
    commented = {name: tomllib.loads(line) for line, name in re.findall(r"^# ((\w+) = .*)$", section, re.MULTILINE)}
    return {name: table[name] for name, table in commented.items() if f"\n{name} = " not in section}


def test_the_example_holds_every_key_with_its_default() -> None:
    read = tomllib.loads(EXAMPLE.read_text())
    sections: list[tuple[dict[str, Any], tuple[Key, ...]]] = [
        (read["daemon"], keys.DAEMON.keys),
        (read["executor"], keys.EXECUTOR.keys),
        (read["limits"], keys.LIMITS.keys),
    ]
    for kind, table in component_keys.SETTINGS.items():
        settings = read["defaults"][kind] | unset(kind)
        sections.append((settings, table.keys))
        sections.append((read[kind][0] | settings, component_keys.COMPONENT[kind].keys))
        sections.append((read[kind][0]["functions"][FUNCTION], component_keys.FUNCTION[kind].keys))
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
    assert full.manifest.executors == least.manifest.executors
    assert full.manifest.limits == least.manifest.limits
    assert full.manifest.components == least.manifest.components
    assert full.manifest.stubs == least.manifest.stubs
    assert [stub.name for stub in full.manifest.stubs] == ["my-stub", "my-wit-stub", "my-component-stub"]


def test_what_the_example_has_in_comments_may_be_written_too() -> None:
    lines = EXAMPLE.read_text().splitlines()
    tried = set()
    for number in range(lines.index("[limits]"), len(lines)):
        if written := re.fullmatch(r"# ((\w+) = .*)", lines[number]):
            above = "" if lines[number - 1].startswith(f"{written[2]} = ") else lines[number - 1]
            text = "\n".join([*lines[: number - 1], above, written[1], *lines[number + 1 :]])
            if "secrets = " in written[1]:
                text = text.replace("\n# api-key = ", "\napi-key = ")
            assert draft(text.encode(), EXAMPLE).diagnostics == ()
            tried.add(written[2])
    assert tried == {"max_running", "max_pending", "allowed_hosts"}


def test_the_databases_that_the_example_has_in_comments_may_be_written_instead_of_sqlite() -> None:
    lines = [line.removeprefix("# ") for line in EXAMPLE.read_text().splitlines() if line.startswith("# database")]
    url = "postgresql://obelisk@db.example.com/obelisk?sslmode=verify-full"
    texts = ("\n".join(["[daemon]", *some]).encode() for some in (lines[:1], lines[1:]))
    written = [draft(text, EXAMPLE) for text in texts]
    assert [one.manifest.daemon.database for one in written] == [
        Postgresql(url),
        Postgresql(url, CredentialSecret("database")),
    ]
    assert [one.diagnostics for one in written] == [(), ()]


def test_the_executors_that_the_example_has_in_a_comment_may_be_written_instead_of_the_one() -> None:
    before, header, rest = EXAMPLE.read_text().partition("[executor]\n")
    one, _, after = rest.partition("\n\n")
    several = one[one.index("# [[executor]]") :].replace("# ", "")
    assert header
    drafted = draft(f"{before}{several}\n\n{after}".encode(), EXAMPLE)
    assert drafted.diagnostics == ()
    assert [executor.name for executor in drafted.manifest.executors] == ["default", "gpu"]


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
