from textwrap import dedent

from obelisk_daemon.execution.wit_extensions import EXECUTION_ID
from obelisk_daemon.execution.wit_interfaces import WitComponent, WitInterface, narrowed
from obelisk_daemon.execution.wit_printing import WitPackage, file_names, one_text, print_packages
from obelisk_daemon.execution.wit_types import (
    EnumType,
    FlagsType,
    FunctionType,
    ListType,
    OptionType,
    Primitive,
    RecordType,
    ResourceType,
    ResultType,
    TupleType,
    VariantType,
    WitType,
)

U8, STRING = Primitive("u8"), Primitive("string")
ID = RecordType((("id", STRING),))
COLOR = EnumType(("red", "green"))
TYPES = {"obelisk:types@5.0.0": "package obelisk:types@5.0.0;\n\ninterface time {\n}\n"}


def taking(*params: tuple[str, WitType], result: WitType | None = None) -> FunctionType:
    return FunctionType(params, result)


def exporting(*exports: WitInterface, imports: tuple[WitInterface, ...] = (), name: str = "one") -> WitComponent:
    return WitComponent(name, "activity", exports, imports)


def printed(*components: WitComponent, extensions: bool = False) -> str:
    return one_text(print_packages(components, TYPES, extensions=extensions))


def body_of(text: str, interface: str) -> str:
    """Give the lines inside an interface."""
    after = text.partition(f"interface {interface} {{\n")[2]
    return dedent(after.partition("\n}")[0])


def test_every_type_is_written_as_wit() -> None:
    types: list[tuple[str, WitType]] = [
        ("color", COLOR),
        ("perms", FlagsType(("read", "write"))),
        ("item", RecordType((("color", COLOR), ("note", OptionType(OptionType(STRING)))))),
        ("problem", VariantType((("bad", STRING), ("gone", None)))),
        ("urls", ListType(STRING)),
    ]
    made = taking(
        ("items", ListType(types[2][1])), ("at", TupleType((U8, STRING))), result=ResultType(None, types[3][1])
    )
    text = printed(exporting(WitInterface("a:b/c@1.0.0", tuple(types), (("make", made), ("stop", taking())))))
    assert text == dedent(
        """\
        package a:b@1.0.0;

        /// Of the activity "one".
        interface c {
          enum color {
            red,
            green,
          }

          flags perms {
            read,
            write,
          }

          record item {
            color: color,
            note: option<option<string>>,
          }

          variant problem {
            bad(string),
            gone,
          }

          type urls = list<string>;

          make: func(items: list<item>, at: tuple<u8, string>) -> result<_, problem>;
          stop: func();
        }
        """
    )


def test_names_that_are_keywords_are_escaped() -> None:
    record = RecordType((("type", U8), ("in", U8)))
    text = printed(exporting(WitInterface("a:list/use", (("record", record),), (("func", taking(("from", record))),))))
    assert text.startswith("package a:%list;\n")
    assert "interface %use {" in text
    assert "record %record {\n    %type: u8,\n    in: u8,\n  }" in text
    assert "%func: func(%from: %record);" in text


def test_a_second_name_of_one_structure_is_an_alias_and_a_place_of_that_name_gets_it() -> None:
    of = taking(("other-id", ID), ("x", ID))
    text = printed(exporting(WitInterface("a:b/c", (("order-id", ID), ("other-id", ID)), (("f", of),))))
    assert "type other-id = order-id;" in text
    assert "f: func(other-id: other-id, x: order-id);" in text


def test_types_without_a_name_get_one_from_their_place() -> None:
    inner = RecordType((("color", COLOR),))
    of = taking(("order", inner), result=ResultType(ID, VariantType((("bad", None),))))
    text = body_of(printed(exporting(WitInterface("a:b/c", (), (("approve", of),)))), "c")
    assert "record approve-order {\n  color: approve-order-color,\n}" in text
    assert "enum approve-order-color {" in text
    assert "approve: func(order: approve-order) -> result<approve-result, approve-result-error>;" in text


def test_an_invented_name_keeps_away_from_functions() -> None:
    functions = (("f", taking(("x", ID))), ("f-x", taking()))
    text = printed(exporting(WitInterface("a:b/c", (), functions)))
    assert "record f-x-n2 {" in text
    assert "f: func(x: f-x-n2);" in text


def test_a_type_of_an_earlier_interface_is_used_from_there() -> None:
    common = WitInterface("a:b/common@1.0.0", (("color", COLOR), ("unused", ID)))
    there = WitInterface("a:b/c@1.0.0", (("color", COLOR),), (("f", taking(("x", COLOR))),))
    elsewhere = WitInterface("d:e/f", (("color", COLOR),), (("f", taking(("x", COLOR))),))
    text = printed(exporting(there, elsewhere, imports=(common,)))
    assert body_of(text, "c") == "use common.{color};\n\nf: func(x: color);"
    assert "use a:b/common@1.0.0.{color};" in text
    assert text.count("enum color") == 1
    assert "unused" not in text


def test_types_of_our_packages_are_used_and_their_text_is_there() -> None:
    ours = WitInterface("obelisk:types/execution@5.0.0", (("execution-id", EXECUTION_ID),))
    of = taking(("id", EXECUTION_ID), ("set", ResourceType("obelisk:types/join-set@5.0.0.join-set", owned=False)))
    exported = WitInterface("a:b/c", (("execution-id", EXECUTION_ID),), (("f", of),))
    text = printed(exporting(exported, imports=(ours,)))
    assert "use obelisk:types/execution@5.0.0.{execution-id};\n  use obelisk:types/join-set@5.0.0.{join-set};" in text
    assert "f: func(id: execution-id, set: borrow<join-set>);" in text
    assert text.endswith("package obelisk:types@5.0.0 {\n  interface time {\n  }\n}\n")


def test_a_second_name_of_a_handle_is_a_name_of_what_is_used() -> None:
    own, borrowed = (ResourceType("obelisk:types/join-set@5.0.0.join-set", owned=owned) for owned in (True, False))
    types = (("mine", own), ("lent", borrowed))
    for functions in ((), (("f", taking(("x", own), ("lent", borrowed))),)):
        text = body_of(printed(exporting(WitInterface("a:b/c", types, functions))), "c")
        head = "use obelisk:types/join-set@5.0.0.{join-set};\n\ntype mine = join-set;\n\ntype lent = borrow<join-set>;"
        assert text == head + ("\n\nf: func(x: join-set, lent: borrow<join-set>);" if functions else "")


def test_packages_that_would_use_each_other_define_the_type_again() -> None:
    one = exporting(
        WitInterface("a:a/x", (("id", ID),)), WitInterface("b:b/y", (("id", ID),), (("f", taking(("id", ID))),))
    )
    two = exporting(
        WitInterface("b:b/z", (("color", COLOR),)),
        WitInterface("a:a/w", (("color", COLOR),), (("f", taking(("color", COLOR))),)),
        name="two",
    )
    text = printed(one, two)
    assert "use a:a/x.{id};" in text
    assert "use b:b" not in text
    assert text.count("enum color") == 2


def test_one_interface_of_two_components_is_printed_once() -> None:
    one = exporting(WitInterface("a:b/c", (("kind", COLOR),), (("f", taking(("x", COLOR))),)))
    other = exporting(WitInterface("a:b/c", (("kind", ID),), (("g", taking(("x", ID))),)), name="two")
    text = printed(one, other)
    assert text.count("interface c") == 1
    assert '/// Of the activity "one".\n/// Of the activity "two".' in text
    assert "record kind-n2 {" in text
    assert "f: func(x: kind);\n  g: func(x: kind-n2);" in text


def test_extensions_use_the_types_of_their_interface_and_ours() -> None:
    of = taking(("color", COLOR), result=ResultType(ListType(COLOR), STRING))
    text = printed(exporting(WitInterface("a:b/c@1.0.0", (("color", COLOR),), (("f", of),))), extensions=True)
    assert [line for line in text.split("\n") if line.startswith("package")] == [
        "package a:b@1.0.0;",
        "package a:b-obelisk-ext@1.0.0 {",
        "package a:b-obelisk-schedule@1.0.0 {",
        "package obelisk:types@5.0.0 {",
    ]
    assert "use a:b/c@1.0.0.{color};" in text
    assert "f-submit: func(join-set: borrow<join-set>, color: color) -> execution-id;" in text
    awaited = "result<result<list<color>, string>, await-next-extension-error>"
    assert f"f-await-next: func(join-set: borrow<join-set>) -> {awaited};" in text
    assert "f-schedule: func(schedule-at: schedule-at, color: color) -> execution-id;" in text


def test_a_type_that_is_called_like_one_of_ours_does_not_hide_it() -> None:
    mine = EnumType(("mine",))
    exported = WitInterface("a:b/c", (("execution-id", mine),), (("f", taking(("x", mine))),))
    text = printed(exporting(exported), extensions=True)
    assert "use obelisk:types/execution@5.0.0.{execution-id as execution-id-n2, " in text
    assert "f-submit: func(join-set: borrow<join-set>, x: execution-id) -> execution-id-n2;" in text


def test_a_stub_has_the_extension_that_gives_its_result() -> None:
    stub = WitComponent("s", "stub", (WitInterface("a:b/c", (), (("f", taking(result=ResultType(U8))),)),))
    text = printed(stub, extensions=True)
    assert "f-stub: func(execution-id: execution-id, execution-result: result<u8>) -> result<_, stub-error>;" in text
    assert "-schedule" not in text.replace("schedule-at", "")


def test_a_function_that_takes_a_resource_of_wasi_is_left_out() -> None:
    of = taking(("body", ResourceType("wasi:http/types@0.2.0.incoming-body", owned=True)))
    text = printed(exporting(WitInterface("a:b/c", (), (("f", of), ("g", taking())))), extensions=True)
    assert "/// Without f, which takes or gives a resource." in text
    assert "  g: func();" in text
    assert "f-submit" not in text


def test_interfaces_of_the_host_that_a_component_exports_are_left_out() -> None:
    assert printed(exporting(WitInterface("wasi:http/incoming-handler@0.2.0", (), (("handle", taking()),)))) == ""


def test_one_function_is_printed_with_the_types_that_it_needs() -> None:
    item = RecordType((("color", COLOR),))
    interface = WitInterface(
        "a:b/c",
        (("color", COLOR), ("id", ID), ("item", item), ("url", STRING)),
        (("f", taking(("x", ListType(item)), ("y", STRING))), ("g", taking(("x", ID)))),
    )
    assert body_of(printed(exporting(narrowed(interface, "f"))), "c") == (
        "enum color {\n  red,\n  green,\n}\n\nrecord item {\n  color: color,\n}\n\nf: func(x: list<item>, y: string);"
    )


def test_files_are_named_after_packages_and_versions_where_there_are_several() -> None:
    packages = [WitPackage(name, "") for name in ("a:b@1.0.0", "c:d@1.0.0", "c:d@2.0.0", "e-f:g", "e:f-g")]
    assert file_names(packages) == ("a-b.wit", "c_d@1.0.0.wit", "c_d@2.0.0.wit", "e-f_g.wit", "e_f-g.wit")
