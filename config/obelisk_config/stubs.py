"""The `[[stub]]` table: its keys, and the one of three ways in which it says what its functions are."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

import msgspec

from obelisk_config import forms
from obelisk_config.model import ComponentStub, InlineStub, StubParameter, StubSource, StubSpec, WitStub
from obelisk_config.place import INVALID, Place
from obelisk_config.rules import Key, Listing
from obelisk_config.tables import Parsed, TableOf

SOURCES: Final[Mapping[str, tuple[str, ...]]] = {"ffqn": ("params", "returns"), "wit": (), "path": ("digest",)}
"""The keys of which a stub has one, and the keys that go with each."""

_NEVER_RUN: Final = "a stub is never run, so it needs none"
_HOW: Final = (
    'write ffqn = "namespace:package/interface.function" with params and returns,\n'
    'or wit = "file.wit", or path = "file.wasm" with its digest'
)

PARAMETER: Final = TableOf(
    "an entry of params",
    (
        Key("name", forms.PARAMETER, "What it is called.", example="order", required=True),
        Key("type", forms.WIT_TYPE, "Its WIT type.", example="u64", required=True),
    ),
)


class Parameter(msgspec.Struct, frozen=True):
    """An entry of `params`, which is of no use unless all of it is right."""

    def parse(self, value: object, place: Place) -> object:
        """Check it."""
        before = len(place.reported)
        parsed = PARAMETER.parse(value, place)
        if len(place.reported) > before or not isinstance(parsed, dict):
            return INVALID
        return StubParameter(**parsed)


STUB: Final = TableOf(
    "[[stub]]",
    (
        Key(
            "name",
            forms.NAME,
            "Names it in logs and commands, as a component; a stub with ffqn may do without and is named by that.",
            example="my-stub",
        ),
        Key("ffqn", forms.STUB_FFQN, "The one function that it stands for.", example="example:shop/approval.approve"),
        Key(
            "params",
            Listing(Parameter()),
            "The parameters of that function, with WIT types; none, if left out.",
            example=[{"name": "order", "type": "u64"}],
        ),
        Key(
            "returns",
            forms.WIT_TYPE,
            "The WIT type of what that function returns; nothing, if left out.",
            example="result<bool, string>",
        ),
        Key(
            "wit",
            forms.WIT_PATH,
            "A WIT file with one package, relative to this one: all functions of its interfaces.",
            example="wit/approval.wit",
        ),
        msgspec.structs.replace(
            forms.COMPONENT_PATH, doc="A component's file, relative to this one: all that it exports.", required=False
        ),
        forms.COMPONENT_DIGEST,
    ),
    dict.fromkeys(("timeout", "max_retries", "backoff", "retry_on", "labels", "limits", "env", "functions"), _NEVER_RUN)
    | {"interface": "it is part of ffqn", "type": "write params and returns", "return_type": "write returns"},
)


def resolve_stub(authored: Parsed, place: Place, beside: Path) -> StubSpec | None:
    """Give a stub, or None after a report of why there is none. Paths start at the directory `beside`."""
    written = _written(place)
    chosen = [key for key in SOURCES if key in written]
    if not chosen:
        place.error("no_source", "[[stub]] does not say what its functions are", _HOW)
        return None
    if len(chosen) > 1:
        for key in chosen[1:]:
            place.child(key).key_error("several_sources", f"[[stub]] has {key} beside {chosen[0]}", "keep one of them")
        return None
    key = chosen[0]
    _check_companions(key, written, place)
    if key != "ffqn" and "name" not in written:
        place.error("missing_key", f"[[stub]] with {key} needs the key name", 'add name = "my-stub"')
    usable = key in authored and ("name" in authored or (key == "ffqn" and "name" not in written))
    if not usable or any(one in written and one not in authored for one in SOURCES[key]):
        return None
    return StubSpec(authored["name" if "name" in authored else "ffqn"], _source(key, authored, place, beside))


def _written(place: Place) -> Mapping[str, Any]:
    """Give the table as it stands in the file, with what is wrong in it."""
    table = place.document.values
    for part in place.path:
        table = table[part]  # type: ignore[index]  # the path is one of the document's
    return table


def _check_companions(key: str, written: Mapping[str, Any], place: Place) -> None:
    for source, companions in SOURCES.items():
        for one in companions:
            if source != key and one in written:
                place.child(one).key_error(
                    "misplaced_key", f"{one} goes with {source}, and this stub has {key}", f"leave {one} out"
                )


def _source(key: str, authored: Parsed, place: Place, beside: Path) -> StubSource:
    match key:
        case "ffqn":
            params = authored.get("params", ())
            _check_names(params, place.child("params"))
            return InlineStub(authored["ffqn"], params, authored.get("returns"))
        case "wit":
            return WitStub(str(beside / authored["wit"]))
        case _:
            return ComponentStub(str(beside / authored["path"]), authored.get("digest"))


def _check_names(params: tuple[StubParameter, ...], place: Place) -> None:
    names = [param.name for param in params]
    for number, name in enumerate(names):
        if name in names[:number]:
            message = f'params: "{name}" is the name of two parameters'
            place.child(number).child("name").error("repeated_item", message, "choose another")
