"""The text of errors between components: what one imports and the others export."""

from syrupy.assertion import SnapshotAssertion

from obelisk_daemon.execution.wit_extensions import SUFFIXES, ExtensionKind, extension_interface, extension_type
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


def extending(kind: ExtensionKind, *, of: Ffqn = FIBO) -> Interface:
    ffqn = Ffqn(extension_interface(of.interface, kind), of.function + SUFFIXES[kind])
    return importing(ffqn, extension_type(kind, ACTIVITY.exports[FIBO]))


def test_the_extensions_of_a_function_may_be_imported(explain: Explain) -> None:
    for kind in ("submit", "await_next", "get", "schedule"):
        assert explain(two(), interfaces={"one": ACTIVITY, "two": extending(kind)}) == "no errors"


def test_a_stub_is_given_its_result_and_not_scheduled(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = component("two", kind="workflow", path="b.wasm")
    text += f'[[stub]]\nffqn = "{FIBO}"\nparams = [{{ name = "n", type = "u8" }}]\nreturns = "u64"\n'
    for kind in ("submit", "await_next", "get", "stub"):
        assert explain(text, interfaces={"two": extending(kind)}) == "no errors"
    assert explain(text, interfaces={"two": extending("schedule")}) == snapshot


def test_what_is_no_stub_is_given_no_result(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(two(), interfaces={"one": ACTIVITY, "two": extending("stub")}) == snapshot


def test_an_extension_that_does_not_exist_shows_the_nearest(explain: Explain, snapshot: SnapshotAssertion) -> None:
    for name in ("fibo-sumbit", "fibo"):
        wanted = importing(Ffqn("example:fibo-obelisk-ext/fibo", name))
        assert explain(two(), interfaces={"one": ACTIVITY, "two": wanted}) == snapshot


def test_an_extension_of_what_nobody_exports_names_that(explain: Explain, snapshot: SnapshotAssertion) -> None:
    wanted = extending("submit", of=Ffqn("x:y/z", "w"))
    assert explain(two(), interfaces={"one": ACTIVITY, "two": wanted}) == snapshot


def test_an_extension_of_another_type_shows_both(explain: Explain, snapshot: SnapshotAssertion) -> None:
    wanted = importing(Ffqn("example:fibo-obelisk-schedule/fibo", "fibo-schedule"))
    assert explain(two(), interfaces={"one": ACTIVITY, "two": wanted}) == snapshot


def test_packages_of_extensions_are_the_hosts_own(explain: Explain, snapshot: SnapshotAssertion) -> None:
    exported = Interface({Ffqn("example:fibo-obelisk-ext/fibo", "fibo-submit"): function()})
    assert explain(two(), interfaces={"one": exported, "two": Interface()}) == snapshot


def test_names_of_parameters_may_differ_between_import_and_export(explain: Explain) -> None:
    (imported,) = importing(FIBO).imports
    renamed = FunctionType((("another-name", imported.type.params[0][1]),), imported.type.result)
    assert explain(two(), interfaces={"one": ACTIVITY, "two": importing(FIBO, renamed)}) == "no errors"


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
