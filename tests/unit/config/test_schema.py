"""The JSON schema says of a manifest what a schema can say, and never more than the daemon does."""

import json
import tomllib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from obelisk_config import ManifestError, draft, keys
from obelisk_config.schema import _of, json_schema, schema_text
from obelisk_config.tables import TableOf, TableOrTables, TablesOf
from obelisk_daemon.obeliskd import main
from tests.unit.config.generated import KEYS, every_key, text_with, values

ROOT = Path(__file__).parents[3]
SCHEMA = Draft202012Validator(json_schema())
DIGEST = f"sha256:{'0' * 64}"
SCHEMA_KNOWS = {"unknown_key", "bad_type", "bad_choice", "missing_key", "no_source", "several_sources"}


def component(*lines: str, kind: str = "activity") -> str:
    return "\n".join([f"[[{kind}]]", "name = 'one'", "path = 'a.wasm'", f"digest = '{DIGEST}'", *lines, ""])


def keywords(text: str) -> set[str]:
    """The words of the schema that a manifest offends, also those of alternatives."""
    errors = list(SCHEMA.iter_errors(tomllib.loads(text)))
    return {error.validator for error in errors} | {inner.validator for error in errors for inner in error.context}


def properties(schema: dict[str, Any], path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    """Every key that the schema knows, also those of items and of maps from names to tables."""
    for name, below in schema.get("properties", {}).items():
        yield (*path, name)
        inner = below["oneOf"][0] if name == "executor" else below.get("items", below)
        inner = inner["additionalProperties"] if inner.get("additionalProperties") else inner
        yield from properties(inner, (*path, name))


def test_it_is_a_schema() -> None:
    Draft202012Validator.check_schema(json_schema())


def test_the_file_is_the_one_made_from_the_keys() -> None:
    written = (ROOT / "obelisk.schema.json").read_text()
    assert written == schema_text(), "run: python -m obelisk_config.schema > obelisk.schema.json"
    assert json.loads(written) == json_schema()


def test_obeliskd_prints_it(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["schema"])
    assert (ended.value.code, capsys.readouterr().out) == (0, schema_text())


def test_the_example_names_the_schema_and_satisfies_it() -> None:
    text = (ROOT / "obelisk.toml.example").read_text()
    assert text.startswith("#:schema ./obelisk.schema.json\n")
    assert SCHEMA.is_valid(tomllib.loads(text))


def test_every_key_is_in_the_schema_and_no_other() -> None:
    entries = {("stub", "params"): ("name", "type"), ("secrets",): ("credential", "env", "file")}
    more = {(*path, name) for path, names in entries.items() for name in names}
    assert set(properties(json_schema())) == set(every_key(keys.MANIFEST)) | more


def test_every_key_has_the_sentence_and_the_default_of_its_table() -> None:
    def check(table: TableOf, schema: dict[str, Any]) -> None:
        assert schema["additionalProperties"] is False
        assert schema.get("required", []) == [key.name for key in table.keys if key.required]
        for key in table.keys:
            said = schema["properties"][key.name]
            assert said.get("description", "").startswith(key.doc)
            assert said.get("default") == key.default
            if isinstance(key.rule, TableOf):
                check(key.rule, said)
            elif isinstance(key.rule, TablesOf):
                check(key.rule.table, said["items"])
            elif isinstance(key.rule, TableOrTables):
                check(key.rule.one, said["oneOf"][0])
                check(key.rule.many.table, said["oneOf"][1]["items"])

    check(keys.MANIFEST, json_schema())


def test_a_range_of_durations_or_sizes_is_said_in_words() -> None:
    daemon = json_schema()["properties"]["daemon"]["properties"]
    limits = json_schema()["properties"]["activity"]["items"]["properties"]["limits"]["properties"]
    assert daemon["stop_grace"]["description"].endswith(' From "0s" to "1h".')
    assert limits["memory"]["description"].endswith(' From "1MiB" to "4GiB".')


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[executor]\nmax_running = 1",
        "[[executor]]\nname = 'a'\n[[executor]]\nname = 'b'\nlease = '15s'",
        component("timeout = '1d2h3m4s5ms'", "backoff.factor = 2", "env = { A = '' }"),
        component("allowed_hosts = ['HTTPS://[::1]:1', { host = 'http://*', methods = ['GET'] }]"),
        component("allowed_hosts = []", "allow_private = false", "limits.fuel = 1_000_000", kind="workflow"),
        component("[activity.functions.'%a:b/c@1.0.0-rc.1.d']", "labels = ['a=b/c']"),
        "[[stub]]\nffqn = 'a:b/c.%d'\nparams = [{ name = '%a-b', type = 'u8' }]\n[[stub]]\nname = 'a'\nwit = 'a.wit'",
        "[daemon]\nlisten = ['unix:a', '[::1]:0', 'localhost:1']\nlog.level = 'debug'",
    ],
)
def test_a_manifest_without_errors_satisfies_the_schema(text: str) -> None:
    assert draft(text.encode(), Path("obelisk.toml")).diagnostics == ()
    assert keywords(text) == set()


@pytest.mark.parametrize(
    ("text", "keyword"),
    [
        ("[daemon]\nstop_grase = '1s'", "additionalProperties"),
        ("[demon]\nlisten = ['unix:a']", "additionalProperties"),
        ("[limits]\nmemory = '1GiB'", "additionalProperties"),
        (component("on_block = 'hot'"), "additionalProperties"),
        (component("queue_timeout = '1m'"), "additionalProperties"),
        (component("[activity.functions.'a:b/c.d']", "priority = 1"), "additionalProperties"),
        (component("max_retries = '5'"), "type"),
        (component("backoff = '1s'"), "type"),
        ("[activity]\nname = 'one'", "type"),
        ("[executor]\nlease = 15", "type"),
        ("[executor]\nmax_running = 1.5", "type"),
        ("[daemon]\nlog = { format = 'jsn' }", "enum"),
        (component("retry_on = ['errors']"), "enum"),
        (component("retry_on = ['trap']", kind="workflow"), "enum"),
        (component("on_upgrade = 'pin'"), "enum"),
        ("[executor]\nmax_running = 0", "minimum"),
        (component("priority = 10"), "maximum"),
        (component("max_retries = -1"), "minimum"),
        (component("retry_on = ['trap', 'trap']"), "uniqueItems"),
        ("executor = []", "minItems"),
        ("[daemon]\nlisten = []", "minItems"),
        ("[[activity]]\nname = 'one'", "required"),
        ("[[executor]]\nmax_running = 1", "required"),
        ("[[executor]]\nname = 'a b'", "pattern"),
        (component("timeout = '30s1m'"), "pattern"),
        (component("limits.memory = '64MB'"), "pattern"),
        (component("[activity.functions.get]"), "pattern"),
        (component("allowed_hosts = ['ftp://a']"), "pattern"),
        (component("allow_private = true", kind="workflow"), "const"),
        ("[[stub]]\nname = 'a'", "oneOf"),
        ("[[stub]]\nname = 'a'\nwit = 'a'\nffqn = 'a:b/c.d'", "oneOf"),
        ("[[stub]]\nwit = 'a.wit'", "dependentRequired"),
        (f"[[stub]]\nname = 'a'\nwit = 'a'\ndigest = '{DIGEST}'", "dependentRequired"),
    ],
)
def test_what_the_schema_refuses_the_daemon_refuses(text: str, keyword: str) -> None:
    assert draft(text.encode(), Path("obelisk.toml")).diagnostics
    assert keyword in keywords(text)


@given(st.sampled_from(KEYS), values)
def test_the_schema_and_the_daemon_agree_about_any_value_of_any_key(path: tuple[str, ...], value: Any) -> None:
    text = text_with(path, value)
    try:
        codes = {one.code for one in draft(text.encode(), Path("obelisk.toml")).diagnostics}
    except ManifestError:
        return
    is_valid = SCHEMA.is_valid(tomllib.loads(text))
    if not codes:
        assert is_valid
    if codes & SCHEMA_KNOWS:
        assert not is_valid


def test_a_rule_that_has_no_schema_is_our_mistake() -> None:
    with pytest.raises(TypeError, match="object has no schema"):
        _of(object())  # type: ignore[arg-type]
