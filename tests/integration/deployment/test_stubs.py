"""Stubs from the manifest to the plan: checked, linked, activated and listed, with real components."""

from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from obelisk_config import ManifestError, Surroundings
from obelisk_daemon.api.engine import catalog_of
from obelisk_daemon.deployment.activation import activate
from obelisk_daemon.deployment.candidate import digest_of
from obelisk_daemon.deployment.checking import Candidate, check
from obelisk_daemon.deployment.planning import plan_generation
from obelisk_daemon.deployment.stubs import Stub
from obelisk_daemon.execution.wit_parse import parse_document, parse_function
from obelisk_daemon.execution.wit_types import FunctionType, Primitive
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import ExecutorId
from obelisk_daemon.storage.generations import Generation, StoredComponent
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from tests import guests
from tests.fakes.clock import ManualClock
from tests.integration.wasm.loading import GUESTS, load

pytestmark = pytest.mark.anyio

FIBO = "testing:fibo/fibo.fibo"
FIBOA = "testing:fibo/workflow.fiboa"
WIT = "package testing:fibo;\ninterface fibo {\n  fibo: func(n: u8) -> result<u64, string>;\n}\n"
INLINE = f"""
[[stub]]
ffqn = "{FIBO}"
params = [{{ name = "number", type = "u8" }}]
returns = "result<u64, string>"
"""
FROM_WIT = '[[stub]]\nname = "fibo"\nwit = "fibo.wit"\n'
SETTINGS = {"max_history_events": 100, "on_trap": "pause"}


def from_component() -> str:
    return guests.manifest_entry("fibo-activity", name="fibo").replace("[[activity]]", "[[stub]]")


@pytest.fixture
async def compiler(tmp_path: Path) -> AsyncIterator[Compiler]:
    engines = Engines()
    yield Compiler(engines, tmp_path / "cache")
    engines.close()


async def checked(text: str, directory: Path, compiler: Compiler) -> Candidate:
    (directory / "fibo.wit").write_text(WIT)
    return await check(text.encode(), directory / "obelisk.toml", Surroundings(), compiler)


def workflow(**settings: object) -> str:
    return guests.manifest_entry("fibo-workflow", **(SETTINGS | settings))


class Generations:
    """Holds what is activated."""

    def __init__(self) -> None:
        self.active: Generation | None = None
        self.codes: list[StoredComponent] = []

    async def active_generation(self) -> Generation | None:
        return self.active

    async def activate(self, generation: Generation, codes: list[StoredComponent], _: object, *, strands: bool) -> None:
        self.active, self.codes = generation, codes


@pytest.mark.parametrize("stub", [INLINE, FROM_WIT, from_component()], ids=["inline", "wit", "component"])
async def test_a_workflow_links_to_a_stub_however_it_is_given(stub: str, tmp_path: Path, compiler: Compiler) -> None:
    candidate = await checked(workflow() + stub, tmp_path, compiler)
    plan = plan_generation(candidate, 1)
    function = plan.functions[FIBO]
    (parameter,) = function.type.params
    assert parameter[1] == Primitive("u8")
    assert (function.component.kind, function.component.linked, function.cancellable) == ("stub", None, True)
    assert not plan.offers(function)
    assert [one.ffqn for one in plan.runnable(ExecutorId("Exr_1"))] == [FIBOA]
    assert function.terms is None


async def test_a_stub_keeps_its_digest_from_a_wit_file_to_a_component(tmp_path: Path, compiler: Compiler) -> None:
    one = await checked(FROM_WIT, tmp_path, compiler)
    other = await checked(from_component(), tmp_path, compiler)
    assert one.stubs["fibo"].digest == other.stubs["fibo"].digest


async def test_an_active_generation_allows_stubs_and_keeps_their_files(tmp_path: Path, compiler: Compiler) -> None:
    candidate = await checked(workflow() + FROM_WIT, tmp_path, compiler)
    store = Generations()
    generation = await activate(store, candidate, ManualClock(), 0)  # type: ignore[arg-type]  # the rest isn't used
    assert {ffqn: one.digest for ffqn, one in generation.allowed.items()} == {
        FIBOA: guests.digest("fibo-workflow"),
        FIBO: candidate.stubs["fibo"].digest,
    }
    assert {one.digest: one.code for one in store.codes}[digest_of(WIT.encode())] == WIT.encode()


async def test_another_wit_file_makes_another_candidate(tmp_path: Path, compiler: Compiler) -> None:
    one = await checked(FROM_WIT, tmp_path, compiler)
    (tmp_path / "other.wit").write_text(WIT.replace("n: u8", "n: u16"))
    (tmp_path / "fibo.wit").write_text(WIT.replace("n: u8", "n: u16"))
    other = await check(FROM_WIT.encode(), tmp_path / "obelisk.toml", Surroundings(), compiler)
    assert one.content_hash != other.content_hash


async def test_the_catalog_lists_stubs_with_their_kind(tmp_path: Path, compiler: Compiler) -> None:
    candidate = await checked(workflow() + FROM_WIT + INLINE.replace(FIBO, "a:b/c.d"), tmp_path, compiler)

    catalog = catalog_of(candidate, plan_generation(candidate, 1))
    shown = [(one.name, one.kind, one.size, one.exports) for one in catalog.components()[1:]]
    assert shown == [("fibo", "stub", len(WIT), (FIBO,)), ("a:b/c.d", "stub", 0, ("a:b/c.d",))]
    assert catalog.find(FIBO).kind == "stub"
    assert catalog.find("a:b/c.d").settings == {}


async def test_a_stub_and_an_activity_can_not_have_one_function(tmp_path: Path, compiler: Compiler) -> None:
    with pytest.raises(ManifestError, match="duplicate_export"):
        await checked(guests.manifest_entry("fibo-activity") + INLINE, tmp_path, compiler)


async def test_a_stub_whose_component_is_none_is_an_error_at_its_path(tmp_path: Path, compiler: Compiler) -> None:
    (tmp_path / "a.wasm").write_bytes(b"\0asm\x0d\0\x01\0garbage")
    digest = digest_of((tmp_path / "a.wasm").read_bytes())
    with pytest.raises(ManifestError) as caught:
        await checked(f'[[stub]]\nname = "a"\npath = "a.wasm"\ndigest = "{digest}"\n', tmp_path, compiler)
    (diagnostic,) = caught.value.diagnostics
    assert (diagnostic.code, diagnostic.span.line) == ("invalid_component", 3)


async def test_a_plan_has_what_the_manifest_says_of_traps_history_and_cancelling(
    tmp_path: Path, compiler: Compiler
) -> None:
    text = f'[workflow.functions."{FIBOA}"]\ncancellable = true\n'
    said = plan_generation(await checked(workflow() + text + INLINE, tmp_path, compiler), 1).functions[FIBOA]
    plain = plan_generation(await checked(guests.manifest_entry("fibo-workflow") + INLINE, tmp_path, compiler), 1)
    assert (said.cancellable, said.component.on_trap, said.component.max_history_events) == (True, "pause", 100)
    component = plain.functions[FIBOA].component
    assert (plain.functions[FIBOA].cancellable, component.on_trap, component.max_history_events) == (
        False,
        "fail",
        50_000,
    )


async def test_a_workflow_is_cancellable_by_its_name(tmp_path: Path, compiler: Compiler) -> None:
    candidate = await checked(workflow() + INLINE, tmp_path, compiler)
    component = candidate.components["fibo-workflow"]
    component.exports = {Ffqn("testing:fibo/workflow", "fiboa-cancellable"): component.exports[Ffqn.parse(FIBOA)]}
    plan = plan_generation(candidate, 1)
    assert plan.functions["testing:fibo/workflow.fiboa-cancellable"].cancellable


def test_a_digest_is_that_of_the_signatures_whatever_their_order() -> None:
    one, other = Ffqn("a:b/c", "d"), Ffqn("a:b/c", "e")
    of, returning = FunctionType(()), parse_function([("p", "u8")], "string")
    first, second = Stub("s", {one: of, other: returning}, ()), Stub("t", {other: returning, one: of}, ())
    assert first.digest == second.digest
    assert first.digest == digest_of(b"a:b/c.d: func()\na:b/c.e: func(p: u8) -> string")
    assert Stub("s", {one: returning, other: of}, ()).digest != first.digest


def test_the_types_read_from_a_wit_file_are_those_of_the_component_made_from_it() -> None:
    engines = Engines()
    try:
        for name in ("echo", "fibo-activity", "misc"):
            read = parse_document((GUESTS / f"{name.partition('-')[0]}.wit").read_text())
            exports = dict(load(engines, name).exports)
            assert exports
            assert exports == {ffqn: read[ffqn] for ffqn in exports}
    finally:
        engines.close()
