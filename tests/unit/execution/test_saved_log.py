"""A log as a file: what is written is what is read, and anything else is refused with its reason."""

import base64
import json
import math

import msgspec
import pytest

from obelisk_daemon.clock import Instant
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.events import (
    ChildFinished,
    ChildRequest,
    Created,
    Entry,
    Event,
    GuestTerms,
    HistoryEvent,
    HistoryItem,
    JoinNext,
    JoinSetCreate,
    JoinSetRequest,
    JsonCallError,
    Locked,
    RefusedRequest,
    Response,
    RetryPolicy,
    Schedule,
)
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.execution.saved_log import SavedLog, document_of, functions_in, read_document
from obelisk_daemon.execution.wit_json import same
from obelisk_daemon.execution.wit_types import FunctionType, Primitive, ResultType
from obelisk_daemon.ids import ExecutionId, ExecutorId, RunId

ID = ExecutionId("E_01BX5ZZKBKACTAV9WEVGEMMVRZ")
CHILD = ExecutionId(f"{ID}.o:1_1")
TYPE = FunctionType((("n", Primitive("u8")),), ResultType(Primitive("u64"), Primitive("string")))
PARAMS = [b"\x00\xff", math.nan, -0.0, 1.0, (1 << 64) - 1, -(1 << 63), "ü\0", None, {"a": [True]}]
LOCKED = Locked(ExecutorId("Exr_1"), RunId("Run_1"), 1, "sha256:0", 1, 0, RetryPolicy(0, 0, 1, 0, 0, ()))


def log(*items: HistoryItem) -> list[Entry]:
    created = Created("a:b/c.d", PARAMS, "c", "sha256:0", Instant(5), 7, terms=GuestTerms({"A": "b"}, 1, 2))
    events: list[Event] = [created, LOCKED, *map(HistoryEvent, items)]
    return [Entry(version, Instant(10 + version), event) for version, event in enumerate(events)]


def call(ffqn: str) -> JoinSetRequest:
    return JoinSetRequest("o:1", ChildRequest(CHILD, ffqn, [b"\x01"]))


def saved(*items: HistoryItem) -> SavedLog:
    answer = Response(1, Instant(20), "o:1", ChildFinished(CHILD, Returned({"ok": math.inf})))
    entries = log(*items)
    return SavedLog(ID, entries, [answer], functions_in(entries, {"x:y/z.f": TYPE}), 1, 2, 3, 4)


def written(log: SavedLog) -> bytes:
    return msgspec.json.encode(document_of(log, [{"for": "people"}], []))


def test_every_value_survives_the_file() -> None:
    before = saved(JoinSetCreate("o:1"), call("x:y/z.f"), JoinNext("o:1"))
    after = read_document(written(before))
    assert same(after.created.params, PARAMS)
    assert [type(value) for value in after.created.params] == [type(value) for value in PARAMS]
    assert after.entries[1:] == before.entries[1:]
    assert after.responses == before.responses
    assert after.functions == {"x:y/z.f": TYPE}
    assert (after.execution_id, after.memory, after.fuel, after.host_calls, after.value) == (ID, 1, 2, 3, 4)


def test_the_document_tells_people_what_it_is() -> None:
    document = json.loads(written(saved()))
    assert {name: document[name] for name in document if name != "payload"} == {
        "format": "obelisk-log",
        "format_version": 1,
        "execution_id": ID,
        "ffqn": "a:b/c.d",
        "component_digest": "sha256:0",
        "events": [{"for": "people"}],
        "responses": [],
    }


def test_only_functions_that_were_really_called_are_kept() -> None:
    refused = JoinSetRequest("o:1", RefusedRequest("r:r/r.r", "[]", JsonCallError("function_not_found")))
    planned = Schedule(ExecutionId("E_01BX5ZZKBKACTAV9WEVGEMMVRA"), "s:s/s.s", [], ("now", 0), Instant(0))
    failed = msgspec.structs.replace(planned, ffqn="t:t/t.t", params="[", error=JsonCallError("type_check_error"))
    known = dict.fromkeys(("x:y/z.f", "r:r/r.r", "s:s/s.s", "t:t/t.t", "other:o/o.o"), TYPE)
    assert set(functions_in(log(call("x:y/z.f"), refused, planned, failed, call("gone:g/g.g")), known)) == {
        "x:y/z.f",
        "s:s/s.s",
    }


@pytest.mark.parametrize(
    ("text", "message"),
    [
        (b"", "this is not a saved log"),
        (b"\xff\xfe", "this is not a saved log"),
        (b"[" * 100_000, "this is not a saved log"),
        (b"{}", "this is not a saved log: .*missing required field"),
        (
            b'{"format": "zip", "format_version": 1, "payload": ""}',
            "this is not a saved log: its format is 'zip', not 'obelisk-log'",
        ),
        (
            b'{"format": "obelisk-log", "format_version": 2, "payload": ""}',
            "the log has format version 2, this program reads 1",
        ),
        (b'{"format": "obelisk-log", "format_version": 1, "payload": "?"}', "the payload of the log is damaged"),
        (b'{"format": "obelisk-log", "format_version": 1, "payload": "AAAA"}', "the payload of the log is damaged"),
        (b'{"format": "obelisk-log", "format_version": 1, "payload": "\xc3\xa4"}', "the payload of the log is damaged"),
    ],
)
def test_what_is_no_log_is_refused(text: bytes, message: str) -> None:
    with pytest.raises(CallerError, match=f"^{message}") as refused:
        read_document(text)
    assert refused.value.code == "invalid_log"


def test_a_log_whose_text_is_no_unicode_any_more_is_refused() -> None:
    document = json.loads(written(saved()))
    payload = base64.b64decode(document["payload"]).replace(b"created", b"\x80reated")
    document["payload"] = base64.b64encode(payload).decode()
    with pytest.raises(CallerError, match="the payload of the log is damaged"):
        read_document(json.dumps(document).encode())


def test_a_log_with_more_than_its_own_letters_is_refused() -> None:
    document = json.loads(written(saved()))
    document["payload"] = "?" + document["payload"]
    with pytest.raises(CallerError, match=r"^the payload of the log is damaged"):
        read_document(json.dumps(document).encode())


def test_a_log_that_breaks_the_rules_is_refused() -> None:
    for entries, message in (
        ([], "it has no events"),
        (log()[1:], "starts with `created`"),
        ([log()[0], log(JoinSetCreate("o:1"))[2]], "version 1 is next, not 2"),
    ):
        broken = msgspec.structs.replace(saved(), entries=entries)
        document = json.loads(written(saved()))
        document["payload"] = base64.b64encode(msgspec.msgpack.encode(broken)).decode()
        with pytest.raises(CallerError, match=f"^the log can't be: .*{message}"):
            read_document(json.dumps(document).encode())
