"""Comparing logs: what two runs of the same call must have in common."""

import re
from typing import Any

from tests.e2e.daemon import Api, Json

_OF_ONE_RUN = ("version", "created_at", "due_at", "executor_id", "run_id", "seed", "failure_id")
_RUNS = re.compile(r"\b(Exr|Run|Err)_[0-9A-HJKMNP-TV-Z]{26}\b")


def is_about_locks(event: Json) -> bool:
    """Tell if an event only says who ran the execution, or that it was lost."""
    if event["type"] == "temporarily_timed_out":
        return event["reason"] == "lost"
    return event["type"] in ("locked", "unlocked")


def normalised(events: list[Json]) -> list[Json]:
    """Leave what any run of the call must have: no locks, no ids of runs, no random seeds, no times."""
    return [_masked(event) for event in events if not is_about_locks(event)]


def whole_log(api: Api, execution_id: str) -> dict[str, list[Json]]:
    """Read the logs of an execution and of all its children, and the responses it got."""
    logs = {f"{execution_id} responses": api.responses(execution_id)}
    for one in (execution_id, *api.children(execution_id)):
        logs[one] = api.events(one)
    return logs


def _masked(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _masked(item) for name, item in value.items() if name not in _OF_ONE_RUN}
    if isinstance(value, list):
        return [_masked(item) for item in value]
    return _RUNS.sub(r"\1_", value) if isinstance(value, str) else value
