"""Setting digests in the text of a manifest."""

import copy
import re
import tomllib
from typing import Any

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from obelisk_config import ManifestError
from obelisk_config.example import example
from obelisk_config.pinning import pin
from obelisk_config.tables import toml

OLD, NEW = (f"sha256:{digit * 64}" for digit in "01")
TEXT = f"""\
# what runs
[[activity]]   # the first
  name = "a"
  path = "a.wasm"   # beside this file
\ttimeout = "1s"

# moved here in May
[[workflow]]
digest = '{OLD}'  # pinned
name = 'w'
path = "w.wasm"
limits.memory = "1MiB"
[workflow.functions."a:b/c.d"]
digest = "none of ours"

[[activity]]
path = "b.wasm"
name = "b"
env = {{ path = "x", digest = "y" }}

[[stub]]
name = "s"
path = "s.wasm"
"""


def test_a_wrong_digest_is_replaced_where_it_stands() -> None:
    assert pin(TEXT, {"w": NEW}) == TEXT.replace(f"'{OLD}'", f'"{NEW}"')


def test_a_missing_digest_comes_on_a_line_of_its_own_after_the_path() -> None:
    line = '  path = "a.wasm"   # beside this file\n'
    assert pin(TEXT, {"a": NEW}) == TEXT.replace(line, f'{line}  digest = "{NEW}"\n')
    line = 'path = "s.wasm"\n'
    assert pin(TEXT, {"s": NEW}) == TEXT.replace(line, f'{line}digest = "{NEW}"\n')


def test_several_are_set_at_once() -> None:
    one_by_one = TEXT
    for name in ("s", "b", "w", "a"):
        one_by_one = pin(one_by_one, {name: NEW})
    assert pin(TEXT, dict.fromkeys("abws", NEW)) == one_by_one
    assert one_by_one.count(NEW) == 4


def test_a_digest_that_is_right_is_left_as_it_is_written() -> None:
    assert pin(TEXT, {"w": OLD}) == TEXT
    assert pin(TEXT, {}) == TEXT


def test_line_ends_and_a_last_line_without_one_are_kept() -> None:
    text = '[[stub]]\r\nname = "s"\r\npath = "s.wasm"\r\n# end'
    assert pin(text, {"s": NEW}) == f'[[stub]]\r\nname = "s"\r\npath = "s.wasm"\r\ndigest = "{NEW}"\r\n# end'
    text = '[[stub]]\nname = "s"\npath = "s.wasm"'
    assert pin(text, {"s": NEW}) == f'{text}\ndigest = "{NEW}"'


def test_an_inline_table_gets_the_key_inside() -> None:
    text = 'activity = [{ path = "é.wasm", name = "a" }, # one\n  {name="b",path="b"}, { name = "c", path = "c" }]\n'
    assert pin(text, dict.fromkeys("abc", NEW)) == (
        f'activity = [{{ path = "é.wasm", digest = "{NEW}", name = "a" }}, # one\n'
        f'  {{name="b",path="b", digest = "{NEW}"}}, {{ name = "c", path = "c", digest = "{NEW}" }}]\n'
    )


def test_digests_on_one_line_are_each_replaced_in_their_place() -> None:
    text = f'stub = [{{ name = "a", path = "a", digest = "x" }}, {{ digest = "{OLD}", name = "b", path = "b" }}]\n'
    assert pin(text, {"a": NEW, "b": NEW}) == text.replace('"x"', f'"{NEW}"').replace(OLD, NEW)


def test_a_digest_of_another_type_is_replaced_too() -> None:
    text = '[[activity]]\nname = "a"\npath = "a"\ndigest = 5 # to do\n'
    assert pin(text, {"a": NEW}) == text.replace("5 #", f'"{NEW}" #')


@pytest.mark.parametrize("name", ["nobody", "a:b/c.d", "wit"])
def test_a_name_without_a_path_is_the_callers_mistake(name: str) -> None:
    text = TEXT + '[[stub]]\nffqn = "a:b/c.d"\n[[stub]]\nname = "wit"\nwit = "a.wit"\n'
    with pytest.raises(LookupError, match=f"named {name}"):
        pin(text, {"a": NEW, name: NEW})


@pytest.mark.parametrize("lines", ['path = """\na"""', "path = \"a\"\ndigest = '''\nx'''"])
def test_a_value_of_several_lines_is_not_touched_but_refused(lines: str) -> None:
    with pytest.raises(ManifestError) as refused:
        pin(f'[[activity]]\nname = "a"\n{lines}\n', {"a": NEW})
    (one,) = refused.value.diagnostics
    assert (one.code, one.span.line, one.hint) == ("several_lines", 3 + ("digest" in lines), "write it on one line")


def test_what_is_no_toml_is_refused_by_the_name_of_the_file() -> None:
    with pytest.raises(ManifestError, match=r"^mine\.toml:1:"):
        pin("[", {}, "mine.toml")


def test_what_is_no_component_is_passed_over() -> None:
    text = 'workflow = 1\nstub = [1, { name = [], path = "x" }]\n[[activity]]\nname = "a"\npath = "a"\n'
    assert pin(text, {"a": NEW}) == f'{text}digest = "{NEW}"\n'


names = st.sampled_from(["a", "b", "c", "é"])
comments = st.sampled_from(["", " # why", "\t# digest = 'x'"])
extras = st.dictionaries(
    st.sampled_from(["timeout", "env", "labels", "note", "allowed_hosts"]),
    st.sampled_from(["1s", 5, {"digest": "x", "path": "y"}, ["a", "b"], [], 'say "é" # no']),
    max_size=3,
)


@st.composite
def manifests(draw: st.DrawFn) -> str:
    """Write tables of all kinds in any order, with comments, blank lines, and digests in some."""
    blocks = []
    for number in range(draw(st.integers(0, 5))):
        kind = draw(st.sampled_from(["activity", "workflow", "stub", "other"]))
        pairs: dict[str, Any] = {"name": f"{draw(names)}{number}", "path": draw(names)} | draw(extras)
        if draw(st.booleans()):
            pairs["digest"] = draw(st.sampled_from([OLD, NEW]))
        lines = [f"[[{kind}]]", *(toml({key: pairs[key]})[2:-2] for key in draw(st.permutations(list(pairs))))]
        if kind in ("activity", "workflow") and draw(st.booleans()):
            lines += ["", f'[{kind}.functions."a:b/c.d"]', 'path = "p"']
        indent = draw(st.sampled_from(["", "  ", "\t"]))
        blocks += [f"{indent}{line}{draw(comments)}" if line else "# ---" for line in lines]
        blocks += [""] * draw(st.integers(0, 2))
    return draw(st.sampled_from(["\n", "\r\n"])).join([*blocks, *draw(st.sampled_from([[], [""], ["# end"]]))])


@given(manifests(), st.data())
def test_nothing_but_the_digests_changes(text: str, data: st.DataObject) -> None:
    before = tomllib.loads(text)
    components = {one["name"]: one for kind in ("activity", "workflow", "stub") for one in before.get(kind, [])}
    assume(components)
    chosen = data.draw(st.sets(st.sampled_from(sorted(components))))
    pinned = pin(text, dict.fromkeys(chosen, NEW))
    expected = copy.deepcopy(before)
    for kind in ("activity", "workflow", "stub"):
        for one in expected.get(kind, []):
            if one["name"] in chosen:
                one["digest"] = NEW
    assert tomllib.loads(pinned) == expected
    left = text.replace(OLD, "").replace(NEW, "").splitlines()
    for line in pinned.replace(OLD, "").replace(NEW, "").splitlines():
        if left and line == left[0]:
            left.pop(0)
        else:
            assert re.fullmatch(r'\s*digest = ""', line), "only digests are added"
    assert left == []
    assert pinned.endswith("\n") == text.endswith("\n")


@given(st.sampled_from(["my-activity", "my-workflow", "my-component-stub"]))
def test_pinning_twice_is_pinning_once(name: str) -> None:
    once = pin(example(), {name: NEW})
    assert once != example()
    assert pin(once, {name: NEW}) == once
