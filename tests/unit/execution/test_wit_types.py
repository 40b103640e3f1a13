"""Names as JSON has them, and which functions are the same to a caller."""

from obelisk_daemon.execution.wit_types import BYTES, FunctionType, ListType, Primitive, same_shape, snake

U8, STRING = Primitive("u8"), Primitive("string")


def test_a_name_in_json_has_underscores_and_no_escape() -> None:
    assert (snake("execution-failed-now"), snake("%type"), snake("a%b")) == ("execution_failed_now", "type", "a%b")


def test_functions_have_the_same_shape_whatever_their_parameters_are_called() -> None:
    one = FunctionType((("a", U8), ("b", STRING)), ListType(U8))
    assert same_shape(one, FunctionType((("c", U8), ("d", STRING)), BYTES))
    for other in (
        FunctionType((("a", U8), ("b", STRING))),
        FunctionType((("a", STRING), ("b", U8)), BYTES),
        FunctionType((("a", U8),), BYTES),
    ):
        assert not same_shape(one, other)


def test_bytes_are_a_list_of_u8() -> None:
    assert ListType(U8) == BYTES
