import json
from pathlib import Path

import httpx
import msgspec
import pytest

from obelisk_daemon.api.catalog import FunctionCatalog
from obelisk_daemon.execution.wit_interfaces import WitInterface
from obelisk_daemon.execution.wit_types import EnumType, FunctionType, ResultType
from tests.fakes.api import COMPONENTS, FIBO, FUNCTIONS, FakeWorld
from tests.fakes.serving import ctl_at

pytestmark = [pytest.mark.anyio, pytest.mark.usefixtures("http")]

SPEED = EnumType(("fast", "slow"))
NAMED = WitInterface(
    FIBO.ffqn.interface,
    (("speed", SPEED), ("unused", EnumType(("a",)))),
    (("fibo", FIBO.type), ("tune", FunctionType((("speed", SPEED),), ResultType()))),
)


@pytest.fixture
def world() -> FakeWorld:
    """The component `fibo` tells the names of its types; the others have functions only."""
    world = FakeWorld()
    fibo = msgspec.structs.replace(COMPONENTS[0], interfaces=(NAMED,))
    world.catalog = FunctionCatalog(3, (fibo, *COMPONENTS[1:]), FUNCTIONS)
    return world


async def test_all_components_are_printed_together(http: httpx.AsyncClient) -> None:
    document = (await http.get("/v1/wit")).json()
    assert document["generation"] == 3
    assert [(one["name"], one["file"]) for one in document["packages"]] == [
        ("example:fibo@1.2.0", "example_fibo@1.2.0.wit"),
        ("example:fibo", "example_fibo.wit"),
        ("shop:orders", "shop-orders.wit"),
        ("old:orders", "old-orders.wit"),
    ]
    assert document["wit"].startswith(document["packages"][0]["text"])
    assert "record place-order {\n      order-id: u64,\n      note: string,\n    }" in document["wit"]


async def test_a_component_is_printed_with_the_names_of_its_types(http: httpx.AsyncClient) -> None:
    document = (await http.get("/v1/wit", params={"component": "fibo"})).json()
    assert [one["name"] for one in document["packages"]] == ["example:fibo@1.2.0"]
    assert "tune: func(speed: speed) -> result;" in document["wit"]
    assert "enum unused" in document["wit"]


async def test_one_function_is_printed_with_what_it_needs(http: httpx.AsyncClient) -> None:
    text = (await http.get("/v1/wit", params={"ffqn": "fibo-activity.fibo"})).json()["wit"]
    assert "fibo: func(n: u8) -> result<u64>;" in text
    assert "tune" not in text
    assert "enum" not in text


async def test_extensions_bring_the_types_of_the_host_with_them(http: httpx.AsyncClient) -> None:
    document = (await http.get("/v1/wit", params={"ffqn": "fibo-activity.fibo", "extensions": "true"})).json()
    assert [one["file"] for one in document["packages"]] == [
        "example-fibo.wit",
        "example-fibo-obelisk-ext.wit",
        "example-fibo-obelisk-schedule.wit",
        "obelisk-types.wit",
    ]
    assert "fibo-submit: func(join-set: borrow<join-set>, n: u8) -> execution-id;" in document["wit"]


@pytest.mark.parametrize(
    ("params", "status", "code"),
    [
        ({"component": "fibbo"}, 422, "component_not_found"),
        ({"ffqn": "fibo-activity.fibbo"}, 422, "function_not_found"),
        ({"ffqn": "fibo-activity.fibo", "component": "fibo"}, 422, "contradictory"),
        ({"extensions": "perhaps"}, 400, "invalid_request"),
    ],
)
async def test_what_is_not_there_is_a_problem(
    http: httpx.AsyncClient, params: dict[str, str], status: int, code: str
) -> None:
    answer = await http.get("/v1/wit", params=params)
    assert (answer.status_code, answer.json()["code"]) == (status, code)


async def test_a_wrong_component_gets_the_nearest_name(http: httpx.AsyncClient) -> None:
    detail = (await http.get("/v1/wit", params={"component": "fibo-workfow"})).json()["detail"]
    assert detail == "generation 3 has no component 'fibo-workfow'; did you mean fibo-workflow?"


async def test_ctl_prints_the_text_that_the_api_gives(http: httpx.AsyncClient, path: Path) -> None:
    for arguments, params in [
        ((), {}),
        (("fibo",), {"component": "fibo"}),
        (("fibo-activity.fibo", "--extensions"), {"ffqn": "fibo-activity.fibo", "extensions": "true"}),
    ]:
        document = (await http.get("/v1/wit", params=params)).json()
        run = await ctl_at(path, "wit", *arguments)
        assert (run.code, run.out, run.err) == (0, document["wit"], "")
        assert json.loads((await ctl_at(path, "wit", *arguments, "--json")).out) == document


async def test_ctl_writes_a_file_for_each_package(path: Path, tmp_path: Path) -> None:
    directory = tmp_path / "wit" / "deps"
    run = await ctl_at(path, "wit", "fibo", "--extensions", "--output", str(directory))
    files = sorted(file.name for file in directory.iterdir())
    assert files == [
        "example-fibo-obelisk-ext.wit",
        "example-fibo-obelisk-schedule.wit",
        "example-fibo.wit",
        "obelisk-types.wit",
    ]
    assert (run.code, sorted(run.out.split())) == (0, [str(directory / file) for file in files])
    assert (directory / "example-fibo.wit").read_text().startswith("package example:fibo@1.2.0;\n")


async def test_ctl_says_where_it_cannot_write(path: Path, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    run = await ctl_at(path, "wit", "--output", str(tmp_path / "file"))
    assert (run.code, run.out) == (1, "")
    assert run.err == f"obelisk-ctl: can't write {tmp_path / 'file'}: File exists\n"


async def test_ctl_has_nothing_to_print_without_components(world: FakeWorld, path: Path) -> None:
    world.catalog = FunctionCatalog(3, (), ())
    run = await ctl_at(path, "wit")
    assert (run.code, run.out, run.err) == (0, "", "none\n")


async def test_ctl_fails_for_a_component_that_is_not_there(path: Path) -> None:
    run = await ctl_at(path, "wit", "nothing")
    assert (run.code, run.out) == (65, "")
    assert "has no component 'nothing'" in run.err
