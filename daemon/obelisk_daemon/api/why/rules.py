"""Why an execution does not run, by its state and its lifecycle. Pure: facts in, reasons out."""

from obelisk_daemon.api.why.facts import Facts, Reason, ctl, short
from obelisk_daemon.api.why.queue import obstacles, pending, untimely
from obelisk_daemon.api.why.waiting import blocked, cancelling
from obelisk_daemon.clock import Instant, to_rfc3339
from obelisk_daemon.execution.events import Finished, Locked, Paused
from obelisk_daemon.execution.outcome import Failed, Returned


def explain(facts: Facts) -> tuple[Reason, ...]:
    """Give the reasons, the nearest first; there is always one."""
    summary = facts.summary
    if summary.status == "finished":
        return (_finished(facts),)
    if summary.lifecycle == "cancelling":
        return (cancelling(facts),)
    if summary.lifecycle == "paused":
        return (_paused(facts), *untimely(facts), *obstacles(facts))
    match summary.status:
        case "locked":
            return (_running(facts),)
        case "blocked":
            return blocked(facts)
        case "pending_at":
            return pending(facts)


def _finished(facts: Facts) -> Reason:
    summary, known = facts.summary, facts.execution_id
    when, newest = facts.at(summary.changed_at), facts.newest(Finished)
    failure_id = None if newest is None else newest[1].failure_id
    match summary.outcome:
        case Failed(kind=kind, failure_id=failed, reason=reason):
            text, failure_id = f"it failed at {when}: {kind}: {reason}", failed
        case Returned(is_ok=False):
            text = f"it finished at {when}: its function returned an error"
        case _:
            return Reason("finished", f"it finished at {when}: its function returned", (ctl("result", known),))
    cause = () if failure_id is None else (ctl("error", failure_id),)
    return Reason("finished", text, (*cause, ctl("retry", known)))


def _running(facts: Facts) -> Reason:
    who = facts.executor(facts.summary.executor_id)
    entry = facts.standing.locked
    if entry is None or not isinstance(entry.event, Locked):
        return Reason("running", f"it is running on {who}")
    locked = entry.event
    text = f"it is running on {who}, since {facts.at(entry.created_at)}, in attempt {locked.attempt}"
    if facts.function is not None and facts.function.kind == "activity":
        until = Instant(entry.created_at + locked.timeout_us)
        text += f", which may take until {to_rfc3339(until)}"
    if locked.upgrade_from is not None:
        text += f"; it tries whether its log replays on {short(locked.digest)}"
    return Reason("running", text)


def _paused(facts: Facts) -> Reason:
    newest = facts.newest(Paused)
    resume = ctl("resume", facts.execution_id)
    if newest is None:
        return Reason("paused", f"it was paused, by {facts.summary.pause_reason}", (resume,))
    at, paused = newest
    if paused.reason == "operator":
        return Reason("paused", f"an operator paused it at {facts.at(at)}", (resume,))
    if paused.reason == "quarantined":
        text = f"the daemon quarantined it at {facts.at(at)}, since {paused.message}; resume it once that is mended"
        return Reason("paused_automatically", text, (resume,))
    code = "its code" if paused.digest is None else f"the code {short(paused.digest)}"
    what = "does not go on with its log" if paused.reason == "nondeterminism" else "trapped"
    text = f"the daemon paused it at {facts.at(at)}, since {code} {what}: {paused.message or paused.reason}"
    more = () if paused.failure_id is None else (ctl("error", paused.failure_id),)
    cure, commands = _cure(facts, paused, resume)
    return Reason("paused_automatically", f"{text}; {cure}", (*commands, *more))


def _cure(facts: Facts, paused: Paused, resume: str) -> tuple[str, tuple[str, ...]]:
    """Tell what lifts a pause that the daemon made: other code, which is there or is not."""
    known, function = facts.execution_id, facts.function
    again = (resume,) if paused.reason == "trap" else ()  # on the same code, a log diverges once more
    rehearse = (ctl("replay", known, "--component", "FILE"), *again)
    if function is None:
        return "no code of its function is active", rehearse
    current = short(function.digest)
    if function.digest == paused.digest:
        return "that is the current code: it goes on when other code replays its log", rehearse
    if facts.failed_on is not None:
        return f"it was tried on the current code, {current}, too: {facts.failed_on[1]}", rehearse
    return f"the current code, {current}, is another one", (ctl("upgrade", known),)
