"""Types by the names that other languages have for them."""

import pytest

from obelisk_daemon.execution.wit_parse import parse_type
from obelisk_daemon.execution.wit_tokens import WitError

ELSEWHERE = {
    "s8": ("i8", "int8"),
    "s16": ("i16", "int16"),
    "s32": ("i32", "int32"),
    "s64": ("i64", "int64", "int", "integer"),
    "u8": ("uint8", "byte"),
    "u16": ("uint16",),
    "u32": ("uint32",),
    "u64": ("uint64",),
    "f32": ("float32", "float"),
    "f64": ("float64", "double", "number"),
    "string": ("str", "text"),
    "bool": ("boolean",),
    "list<u8>": ("bytes", "byte-array"),
    "list": ("array",),
}


@pytest.mark.parametrize(("name", "meant"), [(name, meant) for meant, names in ELSEWHERE.items() for name in names])
def test_who_names_a_type_as_another_language_does_is_told_what_wit_calls_it(name: str, meant: str) -> None:
    with pytest.raises(WitError) as caught:
        parse_type(name)
    assert caught.value.reason == f'there is no type "{name}"; did you mean "{meant}"?'
