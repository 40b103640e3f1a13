"""The JSON schema of the manifest, made from the key tables, for editors and other tools.

It knows types, choices, ranges of numbers and the forms of names; what compares two places only `load` knows.
`python -m obelisk_config.schema > obelisk.schema.json` writes it anew after a change of `keys`.
"""

import sys
from typing import Any, Final, TypeAlias

import msgspec

from obelisk_config import keys, stubs
from obelisk_config.component_keys import Only
from obelisk_config.database import ADDRESS as DATABASE_ADDRESS
from obelisk_config.database import DATABASE_TABLE, DatabaseEntry
from obelisk_config.forms import HOST_TABLE, ORIGIN, HostEntry
from obelisk_config.listening import ADDRESS, LISTEN_TABLE, ListenEntry
from obelisk_config.rules import (
    NEVER,
    Boolean,
    Choice,
    Duration,
    DurationOrNever,
    Key,
    Listing,
    Number,
    Rule,
    Size,
    Text,
)
from obelisk_config.secrets import SECRET, SecretEntry
from obelisk_config.tables import MapOf, TableOf, TableOrTables, TablesOf
from obelisk_config.tokens import Moment
from obelisk_config.units import DURATION_PATTERN, SIZE_PATTERN, format_duration, format_size

Schema: TypeAlias = dict[str, Any]

_DIALECT: Final = "https://json-schema.org/draft/2020-12/schema"


def json_schema() -> Schema:
    """Give the schema."""
    schema = _of(keys.MANIFEST)
    schema["properties"]["stub"]["items"] |= _ways_of_a_stub()
    return {"$schema": _DIALECT, "title": "obelisk.toml", "description": "The manifest of obeliskd."} | schema


def schema_text() -> str:
    """Write the schema as JSON, for people as well."""
    return msgspec.json.format(msgspec.json.encode(json_schema()), indent=2).decode() + "\n"


def _ways_of_a_stub() -> Schema:
    """Say that a stub has one source, and what goes with each."""
    named = {source: ["name"] for source in stubs.SOURCES if source != "ffqn"}
    companions = {one: [source] for source, more in stubs.SOURCES.items() for one in more}
    return {
        "oneOf": [{"required": [source]} for source in stubs.SOURCES],
        "dependentRequired": named | companions,
    }


def _of(rule: Rule) -> Schema:
    match rule:
        case TableOf():
            return _table(rule)
        case TablesOf():
            return {"type": "array", "items": _of(rule.table)} | _between("Items", rule.least, rule.most)
        case TableOrTables():
            return {"oneOf": [_of(rule.one), _of(rule.many)]}
        case MapOf():
            values = {"propertyNames": _of(rule.name), "additionalProperties": _of(rule.value)}
            return {"type": "object", **values} | _between("Properties", 0, rule.most)
        case Listing():
            items = {"type": "array", "items": _of(rule.item), "uniqueItems": True}
            return items | _between("Items", rule.least, rule.most)
        case HostEntry():
            return {"anyOf": [_of(ORIGIN), _of(HOST_TABLE)]}
        case ListenEntry():
            return {"anyOf": [_of(ADDRESS), _of(LISTEN_TABLE)]}
        case DatabaseEntry():
            return {"anyOf": [_of(DATABASE_ADDRESS), _of(DATABASE_TABLE)]}
        case SecretEntry():
            return _of(SECRET) | {"minProperties": 1, "maxProperties": 1}
        case stubs.Parameter():
            return _of(stubs.PARAMETER)
        case _:
            return _value(rule)


def _value(rule: Rule) -> Schema:
    match rule:
        case Text():
            return {"type": "string"} | ({"pattern": _whole(rule.pattern)} if rule.pattern else {})
        case Number():
            kind = "number" if rule.fractions else "integer"
            return {"type": kind, "minimum": rule.least, "maximum": rule.most}
        case Boolean():
            return {"type": "boolean"}
        case Duration():
            return {"type": "string", "pattern": _whole(DURATION_PATTERN)}
        case DurationOrNever():
            return {"anyOf": [{"const": NEVER}, _value(rule.duration)]}
        case Size():
            return {"type": "string", "pattern": _whole(SIZE_PATTERN)}
        case Choice():
            return {"enum": list(rule.choices)}
        case Moment():
            return {"type": "string", "format": "date-time"}
        case Only():
            return {"const": rule.value}
    raise TypeError(f"{type(rule).__name__} has no schema")


def _table(table: TableOf) -> Schema:
    schema: Schema = {
        "type": "object",
        "properties": {key.name: _key(key) for key in table.keys},
        "additionalProperties": False,
    }
    required = [key.name for key in table.keys if key.required]
    return schema | ({"required": required} if required else {})


def _key(key: Key) -> Schema:
    schema = _of(key.rule)
    if description := " ".join(part for part in (key.doc, _range(key.rule)) if part):
        schema["description"] = description
    if key.default is not None:
        schema["default"] = key.default
    if key.example is not None:
        schema["examples"] = [key.example]
    return schema


def _range(rule: Rule) -> str:
    """Say in words the range of what is written as text, which a schema can't compare."""
    match rule:
        case Duration():
            return f'From "{format_duration(rule.least)}" to "{format_duration(rule.most)}".'
        case DurationOrNever():
            return _range(rule.duration)
        case Size():
            return f'From "{format_size(rule.least)}" to "{format_size(rule.most)}".'
        case _:
            return ""


def _between(what: str, least: int, most: int) -> Schema:
    return ({f"min{what}": least} if least else {}) | {f"max{what}": most}


def _whole(pattern: str) -> str:
    return f"^(?:{pattern})$"


if __name__ == "__main__":
    sys.stdout.write(schema_text())
