"""What schemathesis is told about our API beyond its description: ids that are there, and what else must hold.

It runs in schemathesis' process, which finds it by `SCHEMATHESIS_HOOKS`.
"""

import json
import os
import re
import zlib
from typing import Any

import schemathesis

KNOWN: dict[str, list[str]] = json.loads(os.environ["OBELISK_KNOWN_IDS"])
"""Ids that are there, by the parameter that takes them, and where it matters by its operation, too."""
FORMS = {"execution_id": re.compile(r"E_\S{26,}"), "delay_id": re.compile(r"Delay_\S{26,}")}
FORMS["failure_id"] = re.compile(r"Err_\S{26}")
CALLS = [
    ("testing:fibo/workflow.fiboa", [10, 2]),
    ("testing:fibo/fibo.fibo", [10]),
    ("testing:faults/faults.trap", []),
    ("testing:sleeper/sleeper.nap", [3_600_000]),
    ("testing:approval/approval.approve", [7]),
]
RAW = ("application/wasm", "application/toml")
SOME, ALL = 7, 10
LONGEST_WAIT = 0.2
seen: set[str] = set()


@schemathesis.serializer(*RAW)
def as_it_is(ctx: Any, value: Any) -> bytes:
    return value if isinstance(value, bytes) else str(value).encode(errors="replace")


@schemathesis.hook
def filter_case(ctx: Any, case: Any) -> bool:
    """Leave out bodies that are no text and no bytes, where anything that is sent is one."""
    return case.media_type not in RAW or isinstance(case.body, str | bytes | schemathesis.core.NotSet)


@schemathesis.hook
def before_call(ctx: Any, case: Any, kwargs: dict[str, Any]) -> None:
    """Ask for what is there in most cases: a made-up id is well-formed, but never there. And don't wait for long."""
    parameters = case.path_parameters or {}
    for name, value in parameters.items():
        form = FORMS.get(name)
        known = KNOWN.get(f"{case.operation.label} {name}", KNOWN.get(name))
        if case.method.upper() == "PUT" and "." in str(value):  # found in a list, but the id of a child can't be chosen
            parameters[name] = str(value).partition(".")[0]
        if case.path.endswith("/follow") and form is not None and form.fullmatch(str(value)):
            parameters[name] = KNOWN["finished"][0]  # of others the stream goes on, and never ends
            continue
        if form is None or not known or case.method.upper() == "PUT":
            continue
        chosen = zlib.crc32(f"{value} {case.operation.label}".encode(errors="replace"))
        if form.fullmatch(str(value)) and value not in seen and chosen % ALL < SOME:
            parameters[name] = known[chosen // ALL % len(known)]
    _call_what_is_there(case)
    wait = re.fullmatch(r"[0-9]{1,2}(\.[0-9]+)?", str((case.query or {}).get("wait")))
    if wait is not None and LONGEST_WAIT < float(wait[0]) <= 60:
        case.query["wait"] = LONGEST_WAIT


def _call_what_is_there(case: Any) -> None:
    body = case.body
    if case.path.endswith("/stub") and zlib.crc32(repr(body).encode(errors="replace")) % ALL < SOME:
        case.body = {"ok": True}
    if isinstance(body, dict) and isinstance(body.get("ffqn"), str) and isinstance(body.get("params", []), list):
        chosen = zlib.crc32(repr(sorted(body)).encode(errors="replace") + body["ffqn"].encode(errors="replace"))
        if chosen % ALL < SOME:
            body["ffqn"], body["params"] = CALLS[chosen // ALL % len(CALLS)]


@schemathesis.hook
def after_call(ctx: Any, case: Any, response: Any) -> None:
    try:
        document = response.json()
    except ValueError:
        return
    if isinstance(document, dict) and isinstance(document.get("execution_id"), str):
        seen.add(document["execution_id"])


@schemathesis.check
def documented_code(ctx: Any, response: Any, case: Any) -> None:
    """The code of each refusal is in the operation's description."""
    if response.status_code < 400 or case.method.upper() != case.operation.method.upper():
        return
    documented = case.operation.definition.raw["responses"].get(str(response.status_code), {}).get("description", "")
    code = response.json()["code"]
    assert f"`{code}`" in documented, f"{case.operation.label} {response.status_code}: {code} is not in its description"


@schemathesis.check
class Reached:
    """Every operation got at least once to what it is for: it was not always the form or the id that was wrong."""

    def __init__(self) -> None:
        self.tested: set[str] = set()
        self.reached: set[str] = set()

    def after_response(self, ctx: Any, response: Any, case: Any) -> None:
        self.tested.add(case.operation.label)
        if response.status_code < 300 or response.status_code in (409, 422):
            self.reached.add(case.operation.label)

    def after_run(self, ctx: Any) -> None:
        missed = sorted(self.tested - self.reached)
        assert not missed, f"only ever 400 or 404: {', '.join(missed)}"
