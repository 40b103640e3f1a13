"""The first manifest of somebody who has component files only."""

import re
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from obelisk_config import load
from obelisk_config.forms import NAME
from obelisk_config.schema import json_schema
from obelisk_config.starting import FirstComponent, first_manifest

FILE = Path("/etc/obelisk/obelisk.toml")
DIGEST = f"sha256:{'0' * 64}"
FETCH = FirstComponent("activity", "fetch", "components/fetch.wasm", DIGEST)
ORDERS = FirstComponent("workflow", "orders", "components/orders.wasm", DIGEST)


def test_it_has_a_table_for_each_component_and_names_the_schema() -> None:
    text = first_manifest([FETCH, ORDERS])
    assert text.startswith("#:schema ./obelisk.schema.json\n")
    assert f'[[activity]]\nname = "fetch"\npath = "components/fetch.wasm"\ndigest = "{DIGEST}"\n' in text
    assert f'[[workflow]]\nname = "orders"\npath = "components/orders.wasm"\ndigest = "{DIGEST}"\n' in text


def test_what_to_do_next_is_told_once_for_each_kind_there_is() -> None:
    comments = re.findall("^# An? (activity|workflow) ", first_manifest([ORDERS, FETCH, ORDERS]), re.MULTILINE)
    assert comments == ["workflow", "activity"]
    assert "allowed_hosts" not in first_manifest([ORDERS])


def test_without_components_it_shows_how_to_add_one() -> None:
    text = first_manifest([])
    assert load(text.encode(), FILE).components == ()
    added = text.replace("# [[", "[[").replace("...", "0" * 64)
    added = re.sub(r'^# (\w+ = ".*")$', r"\1", added, flags=re.MULTILINE)
    (component,) = load(added.encode(), FILE).components
    assert (component.kind, component.name, component.digest) == ("activity", "my-activity", DIGEST)


def test_no_line_is_longer_than_a_screen_is_wide() -> None:
    for text in (first_manifest([FETCH, ORDERS]), first_manifest([])):
        assert max(map(len, text.splitlines())) <= 120
        assert "\n\n\n" not in text
        assert text.endswith("\n")


components = st.builds(
    FirstComponent,
    st.sampled_from(["activity", "workflow"]),
    st.from_regex(NAME.pattern, fullmatch=True),
    st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), min_size=1).map("a".__add__),
    st.just(DIGEST),
)


@given(st.lists(components, max_size=5, unique_by=lambda one: one.name))
def test_whatever_the_files_are_it_loads_without_errors(chosen: list[FirstComponent]) -> None:
    loaded = load(first_manifest(chosen).encode(), FILE)
    assert {(one.kind, one.name, one.path, one.digest) for one in loaded.components} == {
        (one.kind, one.name, str(Path("/etc/obelisk") / one.path), one.digest) for one in chosen
    }
    assert Draft202012Validator(json_schema()).is_valid(loaded.document.values)
