"""What we print is read by the tools, and gives back the types that it was made from."""

import itertools
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obelisk_daemon import wit
from obelisk_daemon.execution.wit_extensions import extensions_of, is_extension_interface
from obelisk_daemon.execution.wit_host import HOST_FUNCTIONS
from obelisk_daemon.execution.wit_interfaces import WitComponent, WitInterface
from obelisk_daemon.execution.wit_printing import _KEYWORDS
from obelisk_daemon.execution.wit_types import (
    EnumType,
    FlagsType,
    FunctionType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)
from obelisk_daemon.ffqn import Ffqn
from tests import guests
from tests.integration.wit.tools import described, dummy, introspected, printed, tool, with_world

ROOT = Path(__file__).resolve().parents[3]
GUESTS = ("fibo-activity", "fibo-workflow", "http-python", "faults")


@pytest.mark.guests
@pytest.mark.parametrize("extensions", [False, True])
@pytest.mark.parametrize("guest", GUESTS)
def test_wasm_tools_reads_the_wit_of_a_component(guest: str, extensions: bool, tmp_path: Path) -> None:
    text = printed(described(guests.path(guest)), extensions=extensions)
    (tmp_path / "printed.wit").write_text(text)
    again = tool("wasm-tools", "component", "wit", tmp_path / "printed.wit")
    assert set(_lines(text)) == set(_lines(again))


@pytest.mark.guests
@pytest.mark.parametrize("guest", GUESTS)
def test_a_component_built_from_printed_wit_exports_the_same_types(guest: str, tmp_path: Path) -> None:
    found = introspected(guests.path(guest))
    names = dict.fromkeys(ffqn.interface for ffqn in found.exports)
    text = printed(described(guests.path(guest)))
    made = dummy(with_world(tmp_path / "wit", text, [f"export {name};" for name in names]))
    assert made.exports == found.exports
    assert [(i.name, i.types) for i in made.exported] == [(i.name, i.types) for i in found.exported]


@pytest.mark.guests
@pytest.mark.parametrize("kind", ["activity", "stub"])
@pytest.mark.parametrize("guest", GUESTS)
def test_a_component_built_from_printed_extensions_imports_what_linking_expects(
    guest: str, kind: str, tmp_path: Path
) -> None:
    found = introspected(guests.path(guest))
    expected = {
        extension: of
        for ffqn, base in found.exports.items()
        for extension, of in extensions_of(ffqn, base, is_stub=kind == "stub").items()
    }
    lines = [f"import {name};" for name in dict.fromkeys(ffqn.interface for ffqn in expected)]
    text = printed(described(guests.path(guest), kind), extensions=True)
    assert _imported(with_world(tmp_path / "wit", text, lines)) == expected


@pytest.mark.guests
def test_componentize_py_makes_bindings_from_printed_wit(tmp_path: Path) -> None:
    text = printed(
        *(described(guests.path(guest)) for guest in ("fibo-activity", "http-python", "faults")), extensions=True
    )
    lines = ["import testing:fibo-obelisk-ext/fibo;", "import example:http-obelisk-ext/client;"]
    lines += ["import testing:faults-obelisk-schedule/faults;", "import example:http/client;"]
    directory = with_world(tmp_path / "wit", text, lines)
    tool("componentize-py", "-d", directory, "-w", "w", "bindings", tmp_path / "out")
    made = {file.name: file.read_text() for file in (tmp_path / "out").rglob("*.py")}
    submitting = next(text for name, text in made.items() if "fibo" in name)
    assert "def fibo_submit(join_set: join_set.JoinSet, n: int) -> execution.ExecutionId:" in submitting
    assert any("class Response:\n    status: int\n    body: str" in text for text in made.values())


def test_our_host_interfaces_have_the_types_that_linking_expects(tmp_path: Path) -> None:
    lines = [f"import {name};" for name in dict.fromkeys(ffqn.interface for ffqn in HOST_FUNCTIONS)]
    (tmp_path / "wit" / "deps").mkdir(parents=True)
    for package, text in wit.texts().items():
        (tmp_path / "wit" / "deps" / wit.FILES[package]).write_text(text)
    (tmp_path / "wit" / "world.wit").write_text("\n".join(["package test:built;", "world w {", *lines, "}"]))
    found = dummy(tmp_path / "wit").imports
    assert {Ffqn(one.name, name): of for one in found for name, of in one.functions} == dict(HOST_FUNCTIONS)


def test_every_keyword_can_be_a_name(tmp_path: Path) -> None:
    names = sorted(_KEYWORDS)
    record = RecordType(tuple((name, Primitive("u8")) for name in names))
    types: tuple[tuple[str, WitType], ...] = (("fields", record), ("cases", EnumType(tuple(names))))
    functions = tuple((name, FunctionType(((name, record),))) for name in names)
    described_ = WitComponent("one", "activity", (WitInterface("test:list/use", types, functions),))
    text = printed(described_)
    made = dummy(with_world(tmp_path / "wit", text, ["export test:%list/%use;"]))
    assert [(i.name, tuple(i.types), tuple(i.functions)) for i in made.exported] == [
        ("test:list/use", types, functions)
    ]


PRIMITIVES = st.sampled_from(["bool", "u8", "s16", "u32", "s64", "f32", "f64", "char", "string"])
LABELS = st.lists(st.from_regex(r"[a-z][a-z0-9]{0,4}(-[a-z][a-z0-9]{0,3})?", fullmatch=True), min_size=1, max_size=3)
UNIQUE = LABELS.map(lambda names: tuple(dict.fromkeys(names)))


def _compound(inner: st.SearchStrategy[WitType]) -> st.SearchStrategy[WitType]:
    maybe = st.none() | inner
    return st.one_of(
        inner.map(ListType),
        inner.map(OptionType),
        st.lists(inner, min_size=1, max_size=3).map(lambda elements: TupleType(tuple(elements))),
        st.builds(ResultType, maybe, maybe),
        UNIQUE.map(EnumType),
        UNIQUE.map(FlagsType),
        st.builds(
            lambda names, types: RecordType(tuple(zip(names, types, strict=False))),
            UNIQUE,
            st.tuples(inner, inner, inner),
        ),
        st.builds(
            lambda names, types: VariantType(tuple(zip(names, types, strict=False))),
            UNIQUE,
            st.tuples(maybe, maybe, maybe),
        ),
    )


TYPES = st.recursive(PRIMITIVES.map(Primitive), _compound, max_leaves=8)
FUNCTIONS = st.builds(
    lambda names, types, result: FunctionType(tuple(zip(names, types, strict=False)), result),
    UNIQUE,
    st.tuples(TYPES, TYPES, TYPES),
    st.none() | TYPES,
)
COUNTER = itertools.count()


@settings(max_examples=40, deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)
@given(st.lists(FUNCTIONS, min_size=1, max_size=3))
def test_any_types_come_back_from_printed_wit(
    tmp_path_factory: pytest.TempPathFactory, types: list[FunctionType]
) -> None:
    functions = tuple((f"f{number}", of) for number, of in enumerate(types))
    text = printed(
        WitComponent("one", "activity", (WitInterface("test:any/any@1.0.0", (), functions),)), extensions=True
    )
    directory = tmp_path_factory.mktemp("any") / str(next(COUNTER))
    lines = ["export test:any/any@1.0.0;", "import test:any-obelisk-ext/any@1.0.0;"]
    made = dummy(with_world(directory, text, lines))
    assert [tuple(interface.functions) for interface in made.exported] == [functions]
    extensions = next(one for one in made.imports if is_extension_interface(one.name))
    expected = {
        ffqn.function: of
        for name, base in functions
        for ffqn, of in extensions_of(Ffqn("test:any/any@1.0.0", name), base, is_stub=False).items()
        if ffqn.interface == extensions.name
    }
    assert dict(extensions.functions) == expected


def _imported(directory: Path) -> dict[Ffqn, FunctionType]:
    """Give the extensions that a component imports; a dummy also imports all of the interfaces that these use."""
    imports = [one for one in dummy(directory).imports if is_extension_interface(one.name)]
    return {Ffqn(one.name, name): of for one in imports for name, of in one.functions}


def _lines(text: str) -> list[str]:
    """Give the lines but for their indentation and what is in no interface: the order of these is the tool's."""
    lines = [line.strip() for line in text.split("\n")]
    return [line for line in lines if line and not line.startswith(("package", "}"))]
