"""The forms of texts in the API's documents and parameters, by the names that they have everywhere.

The house's names are uniform (an instant ends in `_at`, an execution is an `execution_id`), so the forms are told
once and not at every field.
"""

from typing import Any, Final

from obelisk_config.forms import LABEL
from obelisk_config.units import DURATION_PATTERN
from obelisk_daemon.ffqn import FORM as FFQN_FORM
from obelisk_daemon.ids import DELAY_ID_FORM, EXECUTION_ID_FORM, MAX_ID, TOP_LEVEL_ID_FORM, ULID_FORM

Schema = dict[str, Any]
EXAMPLE_ID: Final = "E_01JZ8Q4X3V5N7M2K9B6T1R0W8C"
"""What the examples of the document call an execution."""
EXAMPLE_CALL: Final[Schema] = {"ffqn": "testing:fibo/workflow.fiboa", "params": [10, 5]}
"""A call of a component that is in `components/`."""
EXAMPLE_DIGEST: Final = "sha256:9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"


def _text(form: str, description: str, example: str, **more: Any) -> Schema:
    return {"type": "string", "pattern": f"^{form}$", "description": description, "examples": [example], **more}


def _id(prefix: str, what: str) -> Schema:
    return _text(f"{prefix}_{ULID_FORM}", what, f"{prefix}_01JZ8Q4X3V5N7M2K9B6T1R0W8D")


FORMS: Final[dict[str, Schema]] = {
    "ExecutionId": _text(
        EXECUTION_ID_FORM,
        "`E_` and a ULID; of a child, its parent's id, a dot, the join set, and its number there.",
        EXAMPLE_ID,
        maxLength=MAX_ID,
    ),
    "NewExecutionId": _text(
        TOP_LEVEL_ID_FORM, "`E_` and a ULID that the client made. Ids of children can't be chosen.", EXAMPLE_ID
    ),
    "DelayId": _text(
        DELAY_ID_FORM,
        "As a child's id, with `Delay_`.",
        EXAMPLE_ID.replace("E_", "Delay_") + ".o:1_1",
        maxLength=MAX_ID,
    ),
    "FailureId": _id("Err", "The id of one recorded failure."),
    "ExecutorId": _id("Exr", "The id of one executor of one process."),
    "Ffqn": _text(
        FFQN_FORM,
        "The full name of a function: `namespace:package/interface[@version].function`.",
        EXAMPLE_CALL["ffqn"],
    ),
    "Digest": _text("sha256:[0-9a-f]{64}", "SHA-256 of a component's bytes.", EXAMPLE_DIGEST),
    "DigestStart": _text("(sha256:)?[0-9a-f]{0,64}", "A digest, or its beginning.", "sha256:9f86"),
    "Time": {
        "type": "string",
        "format": "date-time",
        "description": "A time as in RFC 3339. The daemon writes UTC with microseconds.",
        "examples": ["2026-01-31T12:00:00.000000Z"],
    },
    "Duration": _text(DURATION_PATTERN, "Units `d`, `h`, `m`, `s`, `ms`, the largest first.", "1h30m"),
    "Label": _text(f"(?:{LABEL.pattern})", "What an executor must offer.", "gpu"),
    "Result": {
        "description": "What a function returned, or the failure that ended it.",
        "oneOf": [
            {"type": "object", "properties": {"ok": {}}, "required": ["ok"], "additionalProperties": False},
            {"type": "object", "properties": {"err": {}}, "required": ["err"], "additionalProperties": False},
            {
                "type": "object",
                "properties": {"execution_failure": {"$ref": "#/components/schemas/ExecutionFailure"}},
                "required": ["execution_failure"],
                "additionalProperties": False,
            },
        ],
        "examples": [{"ok": 55}],
    },
    "ExecutionFailure": {
        "type": "object",
        "description": "Why an execution failed; `/v1/failures/{failure_id}` has all of it.",
        "properties": {
            "kind": {"type": "string"},
            "failure_id": {"$ref": "#/components/schemas/FailureId"},
            "reason": {"type": "string"},
        },
        "required": ["kind", "failure_id", "reason"],
    },
    "Event": {
        "type": "object",
        "description": "An event of an execution's log. What else it has depends on its `type`.",
        "properties": {
            "version": {"type": "integer", "minimum": 0},
            "created_at": {"$ref": "#/components/schemas/Time"},
            "type": {"type": "string", "examples": ["created", "locked", "history_event", "finished"]},
        },
        "required": ["version", "created_at", "type"],
        "additionalProperties": True,
    },
    "Response": {
        "type": "object",
        "description": "What a member of a join set delivered.",
        "properties": {
            "seq": {"type": "integer", "minimum": 1},
            "created_at": {"$ref": "#/components/schemas/Time"},
            "join_set": {"type": "string"},
            "type": {"type": "string", "enum": ["child_finished", "delay_finished"]},
        },
        "required": ["seq", "created_at", "join_set", "type"],
        "additionalProperties": True,
    },
    "StreamPosition": _text(
        "(v[0-9]{1,15}\\.r[0-9]{1,15}\\.l[0-9]{1,15})?",
        "The `id` of a message of an execution's stream.",
        "v12.r3.l456",
    ),
    "DatabaseFile": {"type": "string", "format": "binary", "description": "A database of SQLite."},
    "Message": {
        "type": "object",
        "description": "A server-sent event. `data` is one JSON document, which `event` names the kind of.",
        "properties": {
            "id": {"type": "string", "description": "What `Last-Event-ID` takes, to go on after this message."},
            "event": {"type": "string", "examples": ["event", "state", "finished", "execution", "load"]},
            "data": {"type": "string", "contentMediaType": "application/json"},
            "retry": {"type": "integer"},
        },
        "required": ["data"],
    },
    "LogLine": {
        "type": "object",
        "description": "A line that a guest logged or wrote.",
        "properties": {
            "position": {"type": "integer", "minimum": 1},
            "created_at": {"$ref": "#/components/schemas/Time"},
            "run_id": {"type": ["string", "null"]},
            "level": {"type": "string", "examples": ["info", "stderr"]},
            "message": {"type": "string"},
        },
        "required": ["position", "created_at", "run_id", "level", "message"],
    },
}
"""Schemas that fields and parameters refer to."""

_BY_NAME: Final = {
    "execution_id": "ExecutionId",
    "parent": "ExecutionId",
    "parent_id": "ExecutionId",
    "scheduled_by": "ExecutionId",
    "retried_from": "ExecutionId",
    "delay_id": "DelayId",
    "failure_id": "FailureId",
    "executor_id": "ExecutorId",
    "ffqn": "Ffqn",
    "created_after": "Time",
    "created_before": "Time",
    "due_in": "Duration",
    "result": "Result",
}
_LISTS: Final = {"events": "Event", "responses": "Response", "logs": "LogLine", "labels": "Label"}
_PLAIN: Final = {
    *((place, "ffqn") for place in ("Submission", "ExecutionFilter", "list_executions", "print_wit", "functions")),
    ("RefusedDocument", "execution_id"),
}
"""A shorter name, or the beginning of one, does here; and an id may be refused because it is none."""
_OTHERS: Final = {
    ("RetryWish", "execution_id"): "NewExecutionId",
    ("FailureDocument", "cause"): "FailureId",
    ("ExecutionFilter", "digest"): "DigestStart",
    ("list_executions", "digest"): "DigestStart",
    ("submit_as", "execution_id"): "NewExecutionId",
    ("audit", "after"): "Time",
    ("audit", "before"): "Time",
    ("follow", "after"): "StreamPosition",
    ("follow", "Last-Event-ID"): "StreamPosition",
}

LIMITS: Final[dict[tuple[str, str], Schema]] = {
    ("Submission", "priority"): {"minimum": 0, "maximum": 9},
    ("Submission", "labels"): {"maxItems": 64},
    ("Submission", "tags"): {"maxProperties": 16},
}
"""Limits of fields beyond their types, by document and field."""
REFUSED_ALONE: Final = {"NamedSubmission"}
"""Parts of a body that are answered for one by one: the forms of their fields are no condition of the request."""


def form_of(place: str, name: str) -> str | None:
    """Choose the schema of a text. `place` is the name of the document or of the route's function."""
    if (place, name) in _PLAIN:
        return None
    if name.endswith("_at"):
        return "Time"
    return _OTHERS.get((place, name)) or _BY_NAME.get(name)


def form_of_items(name: str) -> str | None:
    """Choose the schema of the items of a list."""
    return _LISTS.get(name)
