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


def test_it_does_not_matter_in_which_order_the_imports_tell_their_halves() -> None:
    whole = Called(TYPE, True, True, is_stub=False)
    submit, get = extensions("-submit"), extensions("-get")
    direct = [Imported(*FIBO, TYPE)]
    for imports in (submit + get, get + submit, get + direct, direct + submit, get + submit + direct):
        assert called_functions(imports) == {str(FIBO): whole}


def test_two_extensions_that_tell_the_same_half_tell_no_more_than_one() -> None:
    (asked,) = called_functions(extensions("-submit", "-schedule")).values()
    assert asked == Called(FunctionType(TYPE.params), True, False, is_stub=False)
    (awaited,) = called_functions(extensions("-get", "-await-next")).values()
    assert awaited == Called(FunctionType((), TYPE.result), False, True, is_stub=False)


def test_who_gives_its_result_makes_a_stub_of_a_function_wherever_that_is_said() -> None:
    giving, rest = extensions("-stub", is_stub=True), extensions("-submit", "-get")
    for imports in (giving, giving + rest, rest + giving):
        (called,) = called_functions(imports).values()
        assert called.is_stub
        assert called.type.result == TYPE.result
    assert called_functions(giving)[str(FIBO)] == Called(FunctionType((), TYPE.result), False, True, is_stub=True)


def test_a_function_without_result_is_told_as_one() -> None:
    plain = FunctionType((("n", Primitive("u8")),))
    made = [Imported(*ffqn, of) for ffqn, of in extensions_of(FIBO, plain, is_stub=True).items()]
    told = {one.function: called_functions([one])[str(FIBO)] for one in made}
    assert {name: (called.type, called.has_params, called.has_result) for name, called in told.items()} == {
        "fibo-submit": (plain, True, False),
        "fibo-await-next": (FunctionType(()), False, True),
        "fibo-get": (FunctionType(()), False, True),
        "fibo-stub": (FunctionType(()), False, True),
    }


def test_an_extension_of_another_type_than_the_generated_one_tells_nothing_of_a_result() -> None:
    (get,) = extensions("-get")
    (called,) = called_functions([get._replace(type=FunctionType(get.type.params, Primitive("u8")))]).values()
    assert called.type == FunctionType(())


def test_functions_are_found_in_the_order_of_the_imports_and_each_by_itself() -> None:
    other = Ffqn("a:fibo/other", "f")
    found = called_functions([*extensions("-get"), Imported(*other, FunctionType(())), *extensions("-submit")])
    assert list(found) == [str(FIBO), str(other)]
    assert found[str(other)] == Called(FunctionType(()), True, True, is_stub=False)
