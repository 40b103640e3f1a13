"""What a workflow waits for: delays, children, several of them; and what its cancellation waits for."""

from typing import Final

from obelisk_daemon.api.why.facts import Facts, Reason, ctl
from obelisk_daemon.api.why.queue import obstacles, staying
from obelisk_daemon.storage.records import Child, Delay, Waiting

_STATES: Final = {"pending_at": "is pending", "locked": "runs", "blocked": "waits itself"}
_LIFECYCLES: Final = {"paused": "is paused", "cancelling": "is being cancelled"}


def blocked(facts: Facts) -> tuple[Reason, ...]:
    """Give what a blocked workflow waits for; what would keep it from going on then comes last."""
    waiting = facts.standing.waiting
    assert waiting is not None, "what is blocked waits for something"
    reasons = [_several(facts, waiting)] if waiting.unanswered != 1 else []
    reasons += [_delay(facts, delay) for delay in waiting.delays[:1]]
    reasons += [_child(child) for child in waiting.children[:1]]
    if facts.summary.executor_id is None:  # one in memory goes on there, whatever is active by now
        reasons += obstacles(facts)
    return (*reasons, *staying(facts))


def cancelling(facts: Facts) -> Reason:
    """Give what has to end before an execution that is being cancelled."""
    waiting = facts.standing.waiting
    if waiting is None or not waiting.children:
        return Reason("cancelling", "it is being cancelled, and ends as soon as its run is dropped")
    first, number = waiting.children[0], waiting.unanswered
    after = f"its child {_named(first)}" if number == 1 else f"{number:,} of its children, such as {_named(first)}"
    text = f"it is being cancelled, and ends after {after}"
    if first.lifecycle == "cancelling":  # all are: the others come first
        return Reason("cancelling", f"{text}, which is being cancelled as well", child=first.execution_id)
    text += ", which may not be cancelled without force"
    whole = first.execution_id if number == 1 else facts.execution_id
    return Reason("cancelling", text, (ctl("cancel", whole, "--force"),), first.execution_id)


def _several(facts: Facts, waiting: Waiting) -> Reason:
    members = waiting.answered + waiting.unanswered
    wanted = "the next answer" if waiting.missing == 1 else f"{waiting.missing:,} more answers"
    text = f"it waits for {wanted} in join set {facts.summary.join_set}: {waiting.answered:,} of {members:,} have come"
    return Reason("waits_for_answers", text)


def _delay(facts: Facts, delay: Delay) -> Reason:
    known, due = delay.delay_id, facts.at(delay.due_at)
    if delay.is_paused:
        text = f"it waits for the delay {known}, which is paused, and due at {due}"
        return Reason("waits_for_delay", text, (ctl("delay resume", known),))
    if delay.due_at <= facts.now:
        return Reason("waits_for_delay", f"it waits for the delay {known}, which is due since {due}: it ends next")
    return Reason("waits_for_delay", f"it waits for the delay {known} until {due}")


def _child(child: Child) -> Reason:
    state = _LIFECYCLES.get(child.lifecycle) or _STATES[child.status]
    text = f"it waits for its child {_named(child)}, which {state}"
    return Reason("waits_for_child", text, child=child.execution_id)


def _named(child: Child) -> str:
    return f"{child.execution_id} ({child.ffqn})"
