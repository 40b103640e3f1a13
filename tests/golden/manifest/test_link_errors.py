"""The text of errors between components: what one imports and the others export."""

from syrupy.assertion import SnapshotAssertion

from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.ffqn import Ffqn
from tests.golden.manifest.authoring import Import, Interface, component, function
from tests.golden.manifest.conftest import Explain

FIBO = Ffqn("example:fibo/fibo", "fibo")
ACTIVITY = Interface({FIBO: function("u8", result="u64")})


def importing(ffqn: Ffqn, type_: FunctionType | None = None) -> Interface:
    return Interface(imports=(Import(ffqn.interface, ffqn.function, type_ or function("u8", result="u64")),))


def two(*lines: str, kind: str = "workflow") -> str:
    return component("one", *lines) + "\n" + component("two", kind=kind, path="b.wasm")


def test_components_that_fit_give_no_error(explain: Explain) -> None:
    assert explain(two(), interfaces={"one": ACTIVITY, "two": importing(FIBO)}) == "no errors"


def test_two_exports_of_one_function_show_both_lines(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(two(), interfaces={"one": ACTIVITY, "two": ACTIVITY}) == snapshot


def test_an_import_nobody_exports_names_the_nearest_export(explain: Explain, snapshot: SnapshotAssertion) -> None:
    wanted = importing(Ffqn("example:fibo/fibo@1.0.0", "fibo"))
    assert explain(two(), interfaces={"one": ACTIVITY, "two": wanted}) == snapshot
    assert explain(two(), interfaces={"one": ACTIVITY, "two": importing(Ffqn("x:y/z", "w"))}) == snapshot


def test_an_import_of_another_type_shows_both(explain: Explain, snapshot: SnapshotAssertion) -> None:
    wanted = importing(FIBO, function("u32", "string"))
    assert explain(two(), interfaces={"one": ACTIVITY, "two": wanted}) == snapshot


def test_a_host_function_that_does_not_exist_is_an_error(explain: Explain, snapshot: SnapshotAssertion) -> None:
    wanted = importing(Ffqn("obelisk:log/log@9.0.0", "info"))
    assert explain(two(), interfaces={"one": ACTIVITY, "two": wanted}) == snapshot


def test_a_generated_extension_is_of_a_later_version(explain: Explain, snapshot: SnapshotAssertion) -> None:
    wanted = importing(Ffqn("example:fibo-obelisk-ext/fibo", "fibo-submit"))
    assert explain(two(), interfaces={"one": ACTIVITY, "two": wanted}) == snapshot


def test_an_activity_may_not_call_other_components(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = two(kind="activity")
    assert explain(text, interfaces={"one": ACTIVITY, "two": importing(FIBO)}) == snapshot
    wanted = importing(Ffqn("obelisk:workflow/workflow-support@6.0.0", "sleep"))
    assert explain(text, interfaces={"one": ACTIVITY, "two": wanted}) == snapshot


def test_an_override_of_a_function_that_is_not_exported_is_an_error(
    explain: Explain, snapshot: SnapshotAssertion
) -> None:
    text = component("one", '[activity.functions."example:fibo/fibo.fib"]', 'timeout = "1s"')
    text += '[activity.functions."x:y/z.w"]\ntimeout = "1s"\n'
    assert explain(text, interfaces={"one": ACTIVITY}) == snapshot


def test_errors_of_keys_files_and_links_come_in_one_run(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = two("max_retires = 1") + component("three", path="gone.wasm") + component("four", "timeout = 1")
    interfaces = {"one": ACTIVITY, "two": importing(FIBO, function("string")), "four": ACTIVITY}
    assert explain(text, interfaces=interfaces) == snapshot


def test_an_import_is_not_missed_while_the_file_that_may_export_it_is(explain: Explain) -> None:
    text = component("one", path="gone.wasm") + "\n" + component("two", kind="workflow", path="b.wasm")
    told = explain(text, interfaces={"two": importing(FIBO)})
    assert "missing_file" in told
    assert "import_not_exported" not in told
