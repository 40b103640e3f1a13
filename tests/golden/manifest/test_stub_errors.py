"""The text of errors about stubs: where their functions come from, and the WIT types of those."""

from pathlib import Path

from syrupy.assertion import SnapshotAssertion

from obelisk_daemon.ffqn import Ffqn
from tests.golden.manifest.authoring import DIGEST, Import, Interface, component, function
from tests.golden.manifest.conftest import Explain

APPROVE = Ffqn("example:shop/approval", "approve")
INLINE = '[[stub]]\nname = "approval"\nffqn = "example:shop/approval.approve"\n'
WIT = '[[stub]]\nname = "approval"\nwit = "approval.wit"\n'


def inline(*params: str, returns: str = "bool") -> str:
    entries = ", ".join(f'{{ name = "p{number}", type = "{text}" }}' for number, text in enumerate(params))
    return f'{INLINE}params = [{entries}]\nreturns = "{returns}"\n'


def test_a_stub_in_any_of_the_three_ways_is_no_error(explain: Explain, tmp_path: Path) -> None:
    (tmp_path / "a.wit").write_text("package a:b;\ninterface c { d: func(); }\n")
    text = inline("u64", returns="result<bool, string>") + '[[stub]]\nname = "wit"\nwit = "a.wit"\n'
    text += component("file", kind="stub")
    interfaces = {"file": Interface({Ffqn("e:f/g", "h"): function()})}
    assert explain(text, interfaces=interfaces) == "no errors"


def test_a_stub_that_says_nothing_of_its_functions_shows_how(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain('[[stub]]\nname = "approval"\n') == snapshot


def test_a_stub_that_says_it_twice_shows_what_is_too_much(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(f'{inline("u64")}wit = "approval.wit"\npath = "a.wasm"\n') == snapshot


def test_keys_that_go_with_another_way_say_so(explain: Explain, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    (tmp_path / "approval.wit").write_text("package a:b;\ninterface c { d: func(); }\n")
    assert explain(f'{WIT}returns = "bool"\ndigest = "{DIGEST}"\n') == snapshot


def test_a_stub_of_a_file_needs_a_name(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = f'[[stub]]\nwit = "approval.wit"\n[[stub]]\npath = "a.wasm"\ndigest = "{DIGEST}"\n'
    assert explain(text) == snapshot


def test_settings_of_runs_are_not_of_stubs(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(inline("u64") + 'timeout = "1s"\nlabels = ["eu"]\ntype = "u8"\nretruns = "u8"\n') == snapshot


def test_an_unknown_type_is_pointed_at_inside_its_text(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = inline("u65", "list<strin>", returns="result<bol, order>")
    assert explain(text) == snapshot


def test_a_type_that_is_no_wit_is_pointed_at_inside_its_text(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = inline("list<u8", "option", "result<_>", "record {a: u8, a: u8}", returns="borrow<order>")
    assert explain(text) == snapshot


def test_in_a_text_with_escapes_or_lines_the_place_is_said_in_words(
    explain: Explain, snapshot: SnapshotAssertion
) -> None:
    text = f'{INLINE}params = [{{ name = "p", type = "list<\\u0075_>" }}]\nreturns = """\nresult<\n  bol>"""\n'
    assert explain(text) == snapshot


def test_a_type_of_the_wrong_kind_or_size_is_an_error(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = f'{INLINE}params = [{{ name = "p", type = "" }}, {{ name = "q" }}, "u64"]\nreturns = ["u8"]\n'
    assert explain(text) == snapshot


def test_names_of_parameters_are_those_of_wit_and_differ(explain: Explain, snapshot: SnapshotAssertion) -> None:
    names = ", ".join(f'{{ name = "{name}", type = "u8" }}' for name in ("order_id", "1st", "a"))
    text = f'{INLINE}params = [{names}]\n[[stub]]\nffqn = "a:b/c.d"\n'
    text += 'params = [{ name = "a", type = "u8" }, { name = "a", type = "u16" }]\n'
    assert explain(text) == snapshot


def test_a_missing_wit_file_shows_the_one_that_was_meant(
    explain: Explain, snapshot: SnapshotAssertion, tmp_path: Path
) -> None:
    (tmp_path / "aproval.wit").write_text("package a:b;\n")
    assert explain(WIT) == snapshot


def test_an_error_in_a_wit_file_shows_its_line(explain: Explain, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    (tmp_path / "approval.wit").write_text("package a:b;\n\ninterface c {\n\td: func(order: u65) -> bool;\n}\n")
    assert explain(WIT) == snapshot


def test_what_a_wit_file_may_not_have_is_named(explain: Explain, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    (tmp_path / "approval.wit").write_text("package a:b;\ninterface c {\n  use wasi:io/poll@0.2.0.{pollable};\n}\n")
    (tmp_path / "resource.wit").write_text("package a:b;\ninterface c {\n  resource order;\n}\n")
    assert explain(WIT + WIT.replace("approval", "resource")) == snapshot


def test_a_wit_file_without_functions_or_text_is_no_stub(
    explain: Explain, snapshot: SnapshotAssertion, tmp_path: Path
) -> None:
    (tmp_path / "approval.wit").write_text("package a:b;\nworld w { }\n")
    (tmp_path / "bytes.wit").write_bytes(b"package \xff:b;\n")
    text = WIT + WIT.replace("approval", "bytes") + '[[stub]]\nname = "wasm"\nwit = "a.wasm"\n'
    assert explain(text) == snapshot


def test_a_component_without_functions_is_no_stub(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(component("empty", kind="stub"), interfaces={"empty": Interface()}) == snapshot


def test_a_stub_may_not_have_the_names_of_the_host(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = inline("u64").replace("example:shop", "wasi:cli") + '[[stub]]\nffqn = "example:shop-obelisk-ext/c.d"\n'
    assert explain(text, interfaces={}) == snapshot


def test_a_function_of_a_stub_and_a_component_shows_both(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = component("one") + "\n" + inline("u8", returns="u64")
    text += '\n[[stub]]\nname = "again"\nffqn = "example:shop/approval.approve"\n'
    interfaces = {"one": Interface({APPROVE: function("u8", result="u64")})}
    assert explain(text, interfaces=interfaces) == snapshot


def test_two_stubs_without_a_name_for_one_function_are_an_error(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain('[[stub]]\nffqn = "a:b/c.d"\n[[stub]]\nffqn = "a:b/c.d"\n') == snapshot


def test_a_stub_has_no_name_of_a_component(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(component("approval") + inline("u64")) == snapshot


def test_a_workflow_may_import_a_stub_but_not_with_another_type(explain: Explain, snapshot: SnapshotAssertion) -> None:
    def importing(*params: str) -> str:
        wanted = Import(APPROVE.interface, APPROVE.function, function(*params, result="bool"))
        return explain(text, interfaces={"one": Interface(imports=(wanted,))})

    text = component("one", kind="workflow") + inline("u64")
    assert importing("u64") == "no errors"
    assert importing("u32") == snapshot


def test_an_import_is_not_missed_while_the_stub_that_may_export_it_has_errors(explain: Explain) -> None:
    wanted = Import(APPROVE.interface, APPROVE.function, function("u64", result="bool"))
    for text in (inline("u65"), WIT, component("approval", kind="stub")):
        told = explain(component("one", kind="workflow") + text, interfaces={"one": Interface(imports=(wanted,))})
        assert "import_not_exported" not in told


def test_the_keys_of_a_workflow_as_a_whole_are_not_of_a_function(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = component("one", "cancellable = true", "on_trap = 'pause'", "max_history_events = 9")
    text += component("two", "on_trap = 'stop'", "max_history_events = 99", "cancellable = 1", kind="workflow")
    text += '[workflow.functions."a:b/c.d"]\non_trap = "pause"\nmax_history_events = 100\n'
    assert explain(text) == snapshot
