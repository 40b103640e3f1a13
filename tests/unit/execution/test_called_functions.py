"""What imports tell of the functions behind them."""

from typing import NamedTuple

from obelisk_daemon.execution.called_functions import Called, called_functions, expected_type
from obelisk_daemon.execution.wit_extensions import extensions_of
from obelisk_daemon.execution.wit_types import FunctionType, Primitive, ResultType
from obelisk_daemon.ffqn import Ffqn

FIBO = Ffqn("a:fibo/fibo@1.0.0", "fibo")
TYPE = FunctionType((("n", Primitive("u8")),), ResultType(Primitive("u64"), Primitive("string")))


class Imported(NamedTuple):
    interface: str
    function: str
    type: FunctionType


def extensions(*suffixes: str, is_stub: bool = False) -> list[Imported]:
    made = extensions_of(FIBO, TYPE, is_stub=is_stub)
    return [Imported(*ffqn, of) for ffqn, of in made.items() if ffqn.function.endswith(suffixes)]


def test_a_direct_import_tells_all() -> None:
    assert called_functions([Imported(*FIBO, TYPE)]) == {str(FIBO): Called(TYPE, True, True, is_stub=False)}


def test_submit_and_await_together_tell_all() -> None:
    (called,) = called_functions(extensions("-submit", "-await-next")).values()
    assert called == Called(TYPE, True, True, is_stub=False)
    assert called.is_complete


def test_one_extension_tells_half() -> None:
    (submit,) = called_functions(extensions("-submit")).values()
    assert (submit.type.params, submit.has_result, submit.is_complete) == (TYPE.params, False, False)
    (get,) = called_functions(extensions("-get")).values()
    assert (get.type.result, get.has_params) == (TYPE.result, False)
    (schedule,) = called_functions(extensions("-schedule")).values()
    assert schedule == submit


def test_who_gives_results_calls_a_stub() -> None:
    (called,) = called_functions(extensions("-submit", "-stub", is_stub=True)).values()
    assert called == Called(TYPE, True, True, is_stub=True)


def test_the_host_is_not_called() -> None:
    host = [Imported("wasi:io/poll@0.2.0", "poll", TYPE), Imported("obelisk:log/log@1.0.0", "info", TYPE)]
    assert called_functions(host) == {}


def test_an_import_is_expected_as_its_function_or_its_extension() -> None:
    for imported in [Imported(*FIBO, TYPE), *extensions(""), *extensions("-stub", is_stub=True)]:
        assert expected_type(imported, TYPE) == imported.type
