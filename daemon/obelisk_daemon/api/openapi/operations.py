"""What routes alone don't tell of operations: names for clients, groups, and the refusals of their own."""

from typing import Final, NamedTuple

_NO_EXECUTION: Final = "execution_not_found"


class Operation(NamedTuple):
    """`name` is its `operationId`; `codes` are those of its own refusals, by status."""

    name: str
    codes: dict[int, tuple[str, ...]] = {}
    links: tuple[str, ...] = ()
    """Operations that its answer leads to."""


EVERYWHERE: Final[dict[int, tuple[str, ...]]] = {
    400: ("invalid_request",),
    401: ("unauthenticated",),
    403: ("forbidden", "foreign_host", "foreign_origin", "foreign_peer"),
    408: ("too_slow",),
    414: ("target_too_long",),
    431: ("too_many_headers",),
    500: ("internal",),
    503: ("too_many_waiting", "host_exhausted"),
}
"""Refusals that any operation may answer with."""
WITH_BODY: Final[dict[int, tuple[str, ...]]] = {413: ("body_too_large",)}
_IDS: Final = {"execution_id": "invalid_execution_id", "delay_id": "invalid_delay_id"}
_FUNCTION: Final = ("function_not_found", "ambiguous_function")
_WRITES: Final[dict[int, tuple[str, ...]]] = {507: ("storage_full",)}
_READS: Final[dict[int, tuple[str, ...]]] = {404: (_NO_EXECUTION,)}
_CALLS: Final = {
    400: ("invalid_label", "invalid_priority"),
    409: ("execution_exists",),
    422: (*_FUNCTION, "type_check_failed", "invalid_due", "invalid_tag"),
    429: ("queue_full",),
}
_OF_COMPONENTS: Final = ("invalid_component", "compile_failed", "compile_limit", "not_exported", "unsupported_import")
_EXECUTION: Final = {"execution_id": "$response.body#/execution_id"}
_FIRST_DELAY: Final = {"delay_id": "$response.body#/delays/0/delay_id"}
_FOUND: Final = ("show_execution", "get_result", "list_events", "list_responses", "list_logs", "explain_execution")
_STEERED: Final = (*_FOUND, "cancel_execution", "pause_execution", "resume_execution", "list_delays")
_DELAYS: Final = ("cancel_delay", "pause_delay", "resume_delay")
LINKS: Final = {
    **dict.fromkeys(_STEERED, _EXECUTION),
    **dict.fromkeys(_DELAYS, _FIRST_DELAY),
    "show_failure": {"failure_id": "$response.body#/failure/failure_id"},
    "retry_execution": _EXECUTION,
}
"""How the answers of operations lead to others: by operation, where its parameters are in an answer."""
_REPLAYS: Final = ("function_not_found", "not_a_workflow", "replay_too_long")

OPERATIONS: Final[dict[str, Operation]] = {
    "status": Operation("get_status"),
    "components": Operation("list_components"),
    "functions": Operation("list_functions", {422: _FUNCTION}),
    "healthz": Operation("get_health"),
    "readyz": Operation("get_readiness", {503: ("not_ready",)}),
    "submit_as": Operation("submit_execution", _CALLS | _WRITES, _STEERED),
    "submit_new": Operation("submit_new_execution", _CALLS | _WRITES, _STEERED),
    "submit_batch": Operation("submit_executions", _WRITES),
    "list_executions": Operation(
        "list_executions",
        {400: ("invalid_execution_id",), 404: ("generation_not_found",), 422: ("invalid_filter", "invalid_cursor")},
    ),
    "show": Operation("show_execution", _READS, ("show_failure", "retry_execution", *_STEERED)),
    "result": Operation("get_result", _READS),
    "failure": Operation("show_failure", {404: ("failure_not_found",)}),
    "cancel": Operation("cancel_execution", _READS | {409: ("not_cancellable",)} | _WRITES, _FOUND),
    "pause": Operation(
        "pause_execution", _READS | {409: ("already_finished", "cancelling", "running")} | _WRITES, _FOUND
    ),
    "resume": Operation("resume_execution", _READS | _WRITES, _FOUND),
    "upgrade": Operation(
        "upgrade_execution",
        _READS
        | {409: ("not_a_workflow", "already_finished", "cancelling", "diverges", "outdated"), 422: _REPLAYS}
        | _WRITES,
    ),
    "retry_finished": Operation(
        "retry_execution", _READS | _CALLS | {409: ("not_finished", "execution_exists")} | _WRITES, _FOUND
    ),
    "finish_stub": Operation(
        "finish_stub",
        _READS | {409: ("not_a_stub", "stub_conflict"), 422: ("function_not_found", "type_check_failed")} | _WRITES,
    ),
    "why": Operation("explain_execution", _READS),
    "list_delays": Operation("list_delays", _READS, _DELAYS),
    "cancel_delay": Operation("cancel_delay", {404: ("delay_not_found",)} | _WRITES),
    "pause_delay": Operation("pause_delay", {404: ("delay_not_found",), 409: ("delay_ended",)} | _WRITES),
    "resume_delay": Operation("resume_delay", {404: ("delay_not_found",), 409: ("delay_ended",)} | _WRITES),
    "events": Operation("list_events", _READS),
    "responses": Operation("list_responses", _READS),
    "logs": Operation("list_logs", _READS),
    "follow": Operation("follow_execution", _READS | {400: ("invalid_position",)}),
    "follow_daemon": Operation("follow_daemon"),
    "tree": Operation("show_tree", _READS),
    "state_at": Operation("show_state", _READS | {422: ("version_not_found",)}),
    "audit": Operation("list_audit", {400: ("invalid_time",)}),
    "queues": Operation("list_queues"),
    "executors": Operation("list_executors"),
    "drain": Operation("drain_host", {404: ("host_not_found",)} | _WRITES),
    "undrain": Operation("undrain_host", {404: ("host_not_found",)} | _WRITES),
    "bulk": Operation(
        "steer_executions",
        {400: ("invalid_execution_id",), 404: ("generation_not_found",), 422: ("invalid_filter", "invalid_cursor")}
        | _WRITES,
    ),
    "db_stats": Operation("measure_database"),
    "db_check": Operation("check_database", {409: ("check_running",), 500: ("check_failed",)}),
    "db_vacuum": Operation("vacuum_database", _WRITES),
    "db_backup": Operation("back_up_database", {409: ("backup_running",), 507: ("storage_full", "copy_failed")}),
    "me": Operation("get_identity"),
    "print_wit": Operation("print_wit", {422: (*_FUNCTION, "component_not_found", "contradictory")}),
    "replay_execution": Operation("replay_execution", _READS | {422: (*_REPLAYS, *_OF_COMPONENTS)}),
    "export": Operation("export_execution", _READS | {422: ("not_a_workflow",)}),
    "manifest_state": Operation("get_manifest"),
    "generations": Operation("list_generations"),
    "generation": Operation("show_generation", {404: ("generation_not_found",)}),
    "manifest_diff": Operation("diff_generations", {404: ("generation_not_found",)}),
    "manifest_plan": Operation("plan_manifest", {422: ("manifest_unreadable",)}),
    "manifest_reload": Operation("reload_manifest", {409: ("plan_outdated",), 422: ("manifest_unreadable",)} | _WRITES),
    "manifest_rollback": Operation(
        "roll_back_manifest",
        {404: ("generation_not_found",), 422: ("nothing_before", "generation_unreadable")} | _WRITES,
    ),
}
"""By the name of the route's function. An operation that is not here keeps that name, and all refusals there are."""

BODIES: Final = {
    "manifest_plan": (
        {"application/toml": {"schema": {"type": "string"}}},
        "A manifest; if left out, the daemon's own file.",
    ),
    "replay_execution": (
        {"application/wasm": {"schema": {"type": "string", "format": "binary"}}},
        "A component to replay on; if left out, the code of the active generation.",
    ),
}
"""Bodies that are not JSON: their content, and what they are. All may be left out."""
ANSWERS: Final = {
    "result": ("application/json", "Result"),
    "readyz": ("application/json", "HealthDocument"),
    "follow": ("text/event-stream", "Message"),
    "follow_daemon": ("text/event-stream", "Message"),
    "db_backup": ("application/vnd.sqlite3", "DatabaseFile"),
}
"""Schemas of answers whose type does not tell them."""
TAGS: Final = {
    "executions": "Submit, find, read and steer executions.",
    "delays": "The durable timers of workflows.",
    "failures": "What went wrong, with backtrace, HTTP and causes.",
    "functions": "What can be submitted: components, functions, their WIT types.",
    "manifest": "What is active and was, what a change would do, and making it.",
    "database": "The database: its size, check and backup.",
    "daemon": "The daemon itself.",
}
_TAG_BY_SEGMENT: Final = {
    "executions": "executions",
    "delays": "delays",
    "failures": "failures",
    "components": "functions",
    "functions": "functions",
    "wit": "functions",
    "manifest": "manifest",
    "db": "database",
}


def tag_of(path: str) -> str:
    """Choose the group of an operation by its path."""
    return _TAG_BY_SEGMENT.get(path.split("/")[2], "daemon")


def refusals(handler: str, parameters: frozenset[str], *, has_body: bool) -> dict[int, tuple[str, ...]] | None:
    """Give the codes of an operation's refusals by status; None if they are not known."""
    operation = OPERATIONS.get(handler)
    if operation is None:
        return None
    told = {status: codes + operation.codes.get(status, ()) for status, codes in EVERYWHERE.items()}
    told[400] += tuple(code for name, code in _IDS.items() if name in parameters)
    if parameters:
        told[404] = (*operation.codes.get(404, ()), "no_such_route")
    return dict(sorted((operation.codes | (WITH_BODY if has_body else {}) | told).items()))
