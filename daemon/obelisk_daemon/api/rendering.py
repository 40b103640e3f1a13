"""Values of the engine as JSON: instants in RFC 3339, results as `{"ok": v}`, events by their own field names.

The conversion is mechanical, field by field, so that a new event needs nothing here. It goes by the declared
structure and not by the shape of the data: a user's record that has a field `created_at` stays as it is.
"""

from typing import Any, TypeAlias

import msgspec

from obelisk_daemon.clock import Instant, to_rfc3339
from obelisk_daemon.execution.events import Entry, Response
from obelisk_daemon.execution.outcome import Failed, Outcome, Returned, outcome_json
from obelisk_daemon.execution.wit_json import to_json
from obelisk_daemon.ids import RunId
from obelisk_daemon.storage.records import LogLine

Json: TypeAlias = dict[str, Any]


def result_json(outcome: Outcome) -> Json:
    """Write a result: `{"ok": v}`, `{"err": v}` or `{"execution_failure": {...}}`."""
    return {key: to_json(value) for key, value in outcome_json(outcome).items()}


def struct_json(value: msgspec.Struct) -> Json:
    """Write the fields of an event, its `type` first; fields that are None are left out."""
    tag = value.__struct_config__.tag
    fields: Json = {} if tag is None else {"type": tag}
    for name in value.__struct_fields__:
        content = getattr(value, name)
        if content is None:
            continue
        if isinstance(content, (Returned, Failed)):
            fields["result"] = result_json(content)
        else:
            fields[name] = _field(name, content)
    return fields


def entry_json(entry: Entry) -> Json:
    """Write an event with its place in the log, which has the name that an event may have for where code diverges."""
    fields = struct_json(entry.event)
    if "version" in fields:
        fields["diverges_at"] = fields.pop("version")
    return {"version": entry.version, "created_at": to_rfc3339(entry.created_at), **fields}


def response_json(response: Response) -> Json:
    """Write a response with its place among the responses."""
    head = {"seq": response.seq, "created_at": to_rfc3339(response.created_at), "join_set": response.join_set}
    return {**head, **struct_json(response.item)}


def log_line_json(position: int, run_id: RunId | None, line: LogLine) -> Json:
    """Write a line of a guest's output with its position, the cursor to read on from."""
    return {
        "position": position,
        "created_at": to_rfc3339(line.created_at),
        "run_id": run_id,
        "level": line.level,
        "message": line.message,
    }


def _field(name: str, content: object) -> object:
    if name.endswith("_at") and isinstance(content, int):
        return to_rfc3339(Instant(content))
    if isinstance(content, msgspec.Struct):
        return struct_json(content)
    if isinstance(content, tuple):
        return [_field("", item) for item in content]
    return to_json(content)
