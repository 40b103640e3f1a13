"""Why an execution that is to be run next is not taken: what would take it, and what comes before it.

The rules are those by which it is locked (`storage/sql/locking.py`), told one by one.
"""

from collections.abc import Iterator
from typing import Final

from obelisk_daemon.api.services import FunctionInfo
from obelisk_daemon.api.why.facts import Facts, Offer, Reason, ctl, number_of, quoted, short
from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.events import TemporarilyFailed, TemporarilyTimedOut, Unlocked
from obelisk_daemon.execution.suspicion import shared_at
from obelisk_daemon.execution.wit_text import to_wit
from obelisk_daemon.execution.wit_types import ResultType
from obelisk_daemon.executor.children import NEVER
from obelisk_daemon.storage.hosts import KnownHost
from obelisk_daemon.storage.records import MOST_COUNTED

_RUNNING: Final = ctl("list", "--state", "locked")
_ENDS: Final = {"timeout": "it ran out of time", "lost": "its daemon ended while it ran"}


def pending(facts: Facts) -> tuple[Reason, ...]:
    """Give the reasons of an execution that waits to be locked."""
    found = [*untimely(facts), *obstacles(facts)]
    if _is_due(facts) and not _suspected(facts):
        found = [*_unready(facts), *found, *competition(facts)]
    if not found:
        text = f"it is due since {facts.at(_due(facts))}, and nothing is in its way: it is taken next"
        found = [Reason("due", text)]
    return (*found, *staying(facts))


def untimely(facts: Facts) -> list[Reason]:
    """Tell what has to come first: its time, its result, or the executor that has it in memory."""
    executor_id = facts.summary.executor_id
    if _is_stub(facts):
        function = facts.function
        return [] if function is None or function.kind != "stub" else [_awaits_result(facts, function)]
    if executor_id is not None:
        text = f"what it waited for has come; {facts.executor(executor_id)} has it in memory and goes on with it"
        return [Reason("response_arrived", f"{text}; from {facts.at(_due(facts))} on, any other may")]
    suspected = _suspected(facts)
    return suspected or ([] if _is_due(facts) else [_not_due(facts)])


def _suspected(facts: Facts) -> list[Reason]:
    """Tell that it ran when its daemon died, and is not started as others are for a while."""
    for newest in facts.standing.tail[-1:]:  # what is being deleted may have none
        match newest.event:
            case Unlocked(reason="lost") | TemporarilyTimedOut(reason="lost"):
                at = shared_at(newest.event.due_at, newest.created_at)
                alone = "it is started alone when its turn comes, and among others"
                text = f"{_ENDS['lost']}: {alone} from {facts.at(at)} on"
                return [Reason("suspect", text)] if at > facts.now else []
    return []


def _not_due(facts: Facts) -> Reason:
    due_at = _due(facts)
    when = facts.at(due_at)
    for entry in reversed(facts.standing.tail):
        match entry.event:
            case Unlocked(reason=reason, due_at=at) if at == due_at:
                return Reason("given_up", f"its last run was given up ({reason}); it may run again at {when}")
            case (TemporarilyFailed(due_at=at) | TemporarilyTimedOut(due_at=at)) as ended if at == due_at:
                why, failure_id = _ENDS.get(ended.reason, ended.reason), ended.failure_id
                text = f"attempt {ended.attempt} failed: {why}; attempt {ended.attempt + 1} may start at {when}"
                return Reason("waits_for_retry", text, () if failure_id is None else (ctl("error", failure_id),))
    return Reason("not_due", f"it may not start before {when}")


def _awaits_result(facts: Facts, function: FunctionInfo) -> Reason:
    of = function.type.result
    typed = "" if of is None else f", of type {to_wit(of)}"
    text = f"it waits for somebody to give it its result{typed}: its function is a stub"
    shape = '{"ok": ...}' if isinstance(of, ResultType) else "..." if of is not None else "null"
    return Reason("waits_for_result", text, (ctl("stub", facts.execution_id, f"'{shape}'"),))


def obstacles(facts: Facts) -> list[Reason]:
    """Tell what keeps every executor from taking it, whenever it is due."""
    function, is_stub = facts.function, _is_stub(facts)
    if function is None or (is_stub and function.kind != "stub"):
        what = f"{'stub ' if is_stub else ''}{facts.summary.ffqn}"
        text = f"generation {facts.daemon.generation}, which is active, has no {what}"
        return [Reason("function_gone", text, (ctl("manifest history"), ctl("manifest rollback")))]
    if is_stub:
        return []
    found = []
    if not _offering(facts, function):
        found.append(_no_executor_offers(facts, function))
    elif not _able(facts, function):
        found.append(_hosts_not_ready(facts, function))
    if (why := _why_it_stays(facts, function)) is not None and facts.summary.digest not in function.older:
        text = f"it stays on the code {short(facts.summary.digest)}, which this daemon could not load, since {why}"
        found.append(Reason("outdated_code", text, (_cure(facts, function), ctl("manifest history"))))
    return found


def staying(facts: Facts) -> list[Reason]:
    """Tell that it runs on older code, and why: it does run there."""
    function, own = facts.function, facts.summary.digest
    if function is None or own not in function.older:
        return []
    if (why := _why_it_stays(facts, function)) is None:
        return []
    return [Reason("outdated_code", f"it stays on the code {short(own)}, since {why}", (_cure(facts, function),))]


def competition(facts: Facts) -> Iterator[Reason]:
    """Tell what is served before it, or in place of it."""
    function = facts.function
    if function is None or _is_stub(facts):
        return
    limit = function.max_running
    if limit is not None and facts.running >= limit:
        text = f'{facts.running:,} of {limit:,} executions of component "{function.component}" run, its `max_running`'
        yield Reason("limit_reached", text, (_RUNNING,))
    able = _able(facts, function)
    if able and all(one.running >= one.max_running for one in able):
        taken = ", ".join(f"{one.called} runs {one.running:,} of {one.max_running:,}" for one in able)
        yield Reason("slots_taken", f"no slot is free on the executors that may run it: {taken}", (_RUNNING,))
    before = facts.standing.queued_before
    if able and before:
        many = "at least " if before >= MOST_COUNTED else ""
        text = f"{many}{number_of(before, 'execution')} of its function, labels and priority are due before it"
        yield Reason("queued", text)


def _unready(facts: Facts) -> Iterator[Reason]:
    if facts.daemon.not_ready is not None:
        yield Reason("daemon_not_ready", f"the daemon takes no work now: {facts.daemon.not_ready}", (ctl("status"),))
    if facts.daemon.disk_full:
        text = f"no space is left on the disk of {facts.daemon.state_dir}, so that nothing can be started"
        yield Reason("storage_full", text)


def _why_it_stays(facts: Facts, function: FunctionInfo) -> str | None:
    """Tell why a workflow is run on the older code that it was started on; None if it is not."""
    summary = facts.summary
    if summary.started_at is None or summary.digest == function.digest:
        return None
    if function.on_upgrade == "pin":
        return f'`on_upgrade` of component "{function.component}" is "pin"'
    if function.on_upgrade != "replay" or facts.failed_on is None:
        return None
    version, message = facts.failed_on
    current = f"the current code, {short(function.digest)},"
    if version is None:
        return f"{current} can't go on with it: {message}"
    return f"{current} diverges at version {version}: {message.removeprefix(f'at version {version}: ')}"


def _cure(facts: Facts, function: FunctionInfo) -> str:
    """Give what may get it off its older code: where the current code diverges, only other code does."""
    if function.on_upgrade == "pin":
        return ctl("upgrade", facts.execution_id)
    return ctl("replay", facts.execution_id, "--component", "FILE")


def _no_executor_offers(facts: Facts, function: FunctionInfo) -> Reason:
    required = {"its function": set(function.labels), "its submitter": set(facts.summary.labels)}
    wanted = sorted(set().union(*required.values()))
    offered = {label for one in facts.offers for label in one.labels}
    missing = [label for label in wanted if label not in offered]
    what = f"no executor offers {quoted(missing)}" if missing else f"no executor offers all of {quoted(wanted)}"
    by = [f"{who} requires {quoted(sorted(labels))}" for who, labels in required.items() if labels]
    offers = [f"executor {one.called} offers {quoted(one.labels) or 'none'}" for one in facts.offers]
    text = f"{what} ({'; '.join([*by, *offers])}): add what is missing to the `labels` of an executor in the manifest"
    return Reason("no_executor_offers", text, (ctl("manifest reload"),))


def _offering(facts: Facts, function: FunctionInfo) -> list[Offer]:
    required = {*function.labels, *facts.summary.labels}
    return [one for one in facts.offers if required <= set(one.labels)]


def _able(facts: Facts, function: FunctionInfo) -> list[Offer]:
    """Give those that offer what is required and take work: this daemon's say themselves where they don't."""
    return [one for one in _offering(facts, function) if one.host is None or _unready_host(facts, one.host) is None]


def _unready_host(facts: Facts, host: KnownHost) -> str | None:
    active = facts.daemon.generation
    if host.draining:
        return f'host "{host.host}" drains, and takes no new work'
    if host.generation is None or host.generation < active:
        runs = "starts" if host.generation is None else f"runs generation {host.generation}"
        return f'host "{host.host}" {runs}, and takes nothing that changed until it runs generation {active}'
    return None


def _hosts_not_ready(facts: Facts, function: FunctionInfo) -> Reason:
    hosts = {one.host.host: one.host for one in _offering(facts, function) if one.host is not None}
    why = "; ".join(filter(None, (_unready_host(facts, host) for host in hosts.values())))
    return Reason("hosts_not_ready", f"only other hosts offer what it requires: {why}", (ctl("manifest status"),))


def _is_stub(facts: Facts) -> bool:
    return facts.summary.due_at == NEVER or (facts.function is not None and facts.function.kind == "stub")


def _due(facts: Facts) -> Instant:
    assert facts.summary.due_at is not None, "what is pending is due at some time"
    return facts.summary.due_at


def _is_due(facts: Facts) -> bool:
    return _due(facts) <= facts.now
