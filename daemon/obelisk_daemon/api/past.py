"""`/v1/executions/{id}/state`: what an execution was at any version of its log.

A log is folded from its beginning, page by page, so a long one takes no more memory than its join sets, and others go
on in between. One is folded at a time.
"""

from collections.abc import Iterable, Iterator
from datetime import timedelta
from typing import Annotated, Any, Final, Literal

import msgspec
from litestar import get
from litestar.params import QueryParameter

from obelisk_daemon.api.live.documents import ended
from obelisk_daemon.api.past_documents import JoinSetDocument, MemberDocument, PastDocument, WaitsDocument
from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.rendering import entry_json, result_json
from obelisk_daemon.api.requests import MAX_PAGE, MAX_POSITION, ApiRequest, Id, services_of
from obelisk_daemon.clock import Instant, after, to_rfc3339
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.events import ChildFinished, DelayFinished, Entry, Response
from obelisk_daemon.execution.outcome import Returned
from obelisk_daemon.execution.past import LEFT_OUT, Past, PastMember, PastSet, most_telling
from obelisk_daemon.executor.children import NEVER
from obelisk_daemon.ids import ExecutionId, parse_execution_id
from obelisk_daemon.storage.port import ExecutionReader
from obelisk_daemon.storage.records import Position, Summary

_PAGE: Final = 250
_LONGEST_COMMIT: Final = timedelta(minutes=1)
"""From the time that a response has to its commit, which gives it its place."""
_KINDS: Final[dict[str, Literal["one_off", "named", "generated"]]] = {"o": "one_off", "n": "named", "g": "generated"}


class Folded(msgspec.Struct, frozen=True):
    """A past, and what is told beside it."""

    past: Past
    summary: Summary
    last: Entry


async def folded(reader: ExecutionReader, execution_id: ExecutionId, version: int | None) -> Folded:
    """Fold the first `version` events of a log, and the responses that had come by then.

    Raises:
        NotFoundError: `execution_not_found`.
        CallerError: `version_not_found`.
    """
    summary = await reader.summary(execution_id)
    wanted = summary.version if version is None else version
    if wanted > summary.version:
        message = f"the log of {execution_id} has {summary.version} events; {wanted} were asked for"
        raise CallerError("version_not_found", message)
    (last,) = await reader.entries(execution_id, wanted - 1, 1)
    until = None if wanted == summary.version else last.created_at
    (first,) = await reader.entries(execution_id, 0, 1)
    past, position = Past(first), Position(1)
    while True:
        page = await reader.progress(execution_id, position, _PAGE, logs=False)
        for response in page.responses:
            past.deliver(response, until)
        for entry in page.entries[: max(wanted - position.version, 0)]:
            past.step(entry)
        position = _after(position, page.entries, page.responses)
        if _is_complete(page.more, page.responses, position, (wanted, until)):
            return Folded(past, summary, last)


def _after(position: Position, entries: list[Entry], responses: list[Response]) -> Position:
    version = entries[-1].version + 1 if entries else position.version
    return Position(version, responses[-1].seq if responses else position.responses)


def _is_complete(
    more: Iterable[str], responses: list[Response], position: Position, wanted: tuple[int, Instant | None]
) -> bool:
    """Tell if nothing counts that is still to be read. What comes long after a late response comes too late as well."""
    version, until = wanted
    late = until is not None and bool(responses) and responses[-1].created_at > after(until, _LONGEST_COMMIT)
    return ("events" not in more or position.version >= version) and ("responses" not in more or late)


@get("/executions/{execution_id:str}/state", responses=PROBLEMS, summary="Show what an execution was at a version")
async def state_at(
    request: ApiRequest,
    execution_id: Id,
    version: Annotated[
        int | None, QueryParameter(ge=1, le=MAX_POSITION, description="How many events; all if left out.")
    ] = None,
    limit: Annotated[int, QueryParameter(ge=1, le=MAX_PAGE, description="The longest list wanted.")] = 100,
) -> PastDocument:
    """Fold the first events of the log: state, join sets with what was asked for and what had come, what was missing.

    The log goes over versions, and responses come in between: told are those that had come by the time of the last of
    these events. Of the newest version all are told that have come, and the state is that of the execution itself.
    """
    services, known = services_of(request), parse_execution_id(execution_id)
    async with services.live.turns.one():
        found = await folded(services.reader, known, version)
    return _document(found, limit)


def _document(found: Folded, limit: int) -> PastDocument:
    past, summary, last = found.past, found.summary, found.last
    state, waits, sets = past.state, past.waits_for, past.sets()
    is_newest = state.version == summary.version
    owing = [(one.name, member) for one in sets if one.answered < one.members for member in _owing(past, one)]
    owing.sort(key=lambda named: named[1].asked.version)
    due_at = summary.due_at if is_newest else state.due_at
    return PastDocument(
        execution_id=summary.execution_id,
        version=state.version,
        latest=summary.version,
        at=to_rfc3339(last.created_at),
        event=entry_json(last),
        state=summary.status if is_newest else state.status,
        lifecycle=state.lifecycle,
        attempt=state.attempt,
        component_digest=state.digest,
        responses=past.responses,
        join_sets=[_set_document(past, one, limit) for one in most_telling(sets, limit)],
        join_sets_total=len(sets) + past.forgotten,
        pending=[_member_document(member, name) for name, member in owing[:limit]],
        pending_total=len(owing),
        started_at=None if state.started_at is None else to_rfc3339(state.started_at),
        due_at=None if due_at is None or due_at == NEVER else to_rfc3339(due_at),
        executor_id=state.executor_id,
        run_id=state.run_id,
        waiting_for=None if waits is None else WaitsDocument(**msgspec.structs.asdict(waits)),
        pause_reason=state.pause_reason,
        result=None if state.outcome is None else result_json(state.outcome),
    )


def _owing(past: Past, one: PastSet) -> Iterator[PastMember]:
    return (member for member in past.members(one.name) if member.response is None)


def _set_document(past: Past, one: PastSet, limit: int) -> JoinSetDocument:
    members = sorted(past.members(one.name), key=lambda member: member.response is not None)[:limit]
    return JoinSetDocument(
        name=one.name,
        kind=_KINDS[one.name[0]],
        version=one.version,
        members=[_member_document(member) for member in sorted(members, key=lambda member: member.asked.version)],
        members_total=one.members,
        answered=one.answered,
        taken=one.taken,
        closing=one.is_closing,
        closed=one.is_closed,
    )


def _member_document(of: PastMember, join_set: str | None = None) -> MemberDocument:
    is_child, response, due_at = of.ffqn is not None, of.response, of.asked.due_at
    outcome, kind, result = (None, None, None) if response is None else _answer(response)
    return MemberDocument(
        version=of.asked.version,
        execution_id=of.member if is_child else None,
        ffqn=of.ffqn,
        delay_id=None if is_child else of.member,
        due_at=None if due_at is None else to_rfc3339(due_at),
        join_set=join_set,
        seq=None if response is None else response.seq,
        answered_at=None if response is None else to_rfc3339(response.created_at),
        taken=of.is_taken,
        outcome=outcome,
        failure_kind=kind,
        result=result,
    )


def _answer(response: Response) -> tuple[str | None, str | None, dict[str, Any] | None]:
    """Give how a member ended, of which kind its failure was, and its result where that is short."""
    match response.item:
        case ChildFinished(outcome=outcome):
            is_long = isinstance(outcome, Returned) and LEFT_OUT in outcome.value.values()
            return *ended(outcome), None if is_long else result_json(outcome)
        case DelayFinished(cancelled=cancelled):
            return "cancelled" if cancelled else "finished", None, None


ROUTES: Final = (state_at,)
