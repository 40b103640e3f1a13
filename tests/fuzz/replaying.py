"""A workflow whose requests are drawn: its log replays, and a damaged log diverges or replays, and nothing else."""

import contextlib
from collections.abc import Sequence

from obelisk_daemon.clock import Instant
from obelisk_daemon.execution.divergence import NondeterminismError
from obelisk_daemon.execution.events import ChildFinished, DelayFinished, Entry, HistoryEvent, Response, ResponseItem
from obelisk_daemon.execution.journal import Journal, MisuseError
from obelisk_daemon.execution.written import written
from tests.building import ACTIVITY, OK, WORKFLOW, created, execution_id
from tests.fakes.clock import START, ManualClock
from tests.fuzz.draws import Draws

ID = execution_id()
_MOST = 40
Choice = tuple[int, int, int]


class Guest:
    """Asks what its choices say, and notes all answers. Live, each child and delay answers at once."""

    def __init__(self, record: Sequence[Entry] = (), responses: Sequence[Response] = ()) -> None:
        self.journal = Journal(ID, written([Entry(0, START, created(WORKFLOW)), *record], responses), ManualClock().now)
        self.is_live = not record
        self.responses: list[Response] = []
        self.answers: list[object] = []
        self._sets: list[str] = []

    def run(self, choices: Sequence[Choice]) -> None:
        """Make each request; one without a meaning is noted as what it would trap with."""
        for choice in choices:
            try:
                self.answers.append(self._ask(*choice))
            except MisuseError as error:
                self.answers.append(str(error))
        self.journal.end()

    def _ask(self, kind: int, first: int, second: int) -> object:
        journal = self.journal
        if kind >= 6 and self._sets:
            return self._ask_of(self._sets[first % len(self._sets)], kind, second)
        match kind:
            case 0:
                self._sets.append(journal.create_set("g"))
                return self._sets[-1]
            case 1:
                made = journal.create_named_set(f"s{first % 3}")
                self._sets += [made] if made else []
                return made
            case 2:
                return journal.random_u64(first, second)
            case 3:
                return journal.random_string(first % 8, second % 16)
            case 4:
                return journal.new_execution_id()
            case _:
                return journal.sleep(("in", first), None)

    def _ask_of(self, name: str, kind: int, second: int) -> object:
        journal = self.journal
        match kind:
            case 6:
                child = journal.submit(name, ACTIVITY, [second])
                self._owe(name, ChildFinished(child, OK))
                return child
            case 7:
                delay = journal.submit_delay(name, ("in", second * 1_000))
                self._owe(name, DelayFinished(delay))
                return delay
            case 8:
                return journal.try_next(name) == "found" and self._taken(name)
            case 9:
                return journal.ask_next(name) and self._taken(name)
            case _:
                if not journal.sets[name].is_closed:
                    journal.begin_close(name)
                    journal.end_close(name)
                return name

    def _owe(self, name: str, item: ResponseItem) -> None:
        if self.is_live:
            self.responses.append(Response(len(self.responses) + 1, Instant(START + 7), name, item))
            self.journal.deliver(self.responses[-1])

    def _taken(self, name: str) -> object:
        return self.journal.take(name)


def replay(data: bytes) -> None:
    """Run the requests live, then over what they left: as it is, and damaged."""
    draws = Draws(data)
    damage = [draws.below(256) for _ in range(3)]
    choices: list[Choice] = []
    while not draws.is_empty and len(choices) < _MOST:
        choices.append((draws.below(11), draws.below(256), draws.below(256)))
    live = Guest()
    live.run(choices)
    record = [Entry(n, at, HistoryEvent(item)) for n, (at, item) in enumerate(live.journal.new, 1)]
    if not record:
        return
    again = Guest(record, live.responses)
    again.run(choices)
    assert again.answers == live.answers
    assert again.journal.new == []
    changed = Guest(damaged(record, *damage), live.responses)
    changed.is_live = False
    with contextlib.suppress(NondeterminismError):
        changed.run(choices)
        assert len(changed.answers) == len(choices)


def damaged(record: list[Entry], kind: int, first: int, second: int) -> list[Entry]:
    """Drop an entry, repeat one, swap two, or put one in the place of another; versions stay dense."""
    events = [(entry.created_at, entry.event) for entry in record]
    one, other = first % len(events), second % len(events)
    match kind % 4:
        case 0:
            del events[one]
        case 1:
            events.insert(one, events[other])
        case 2:
            events[one], events[other] = events[other], events[one]
        case _:
            events[one] = events[other]
    return [Entry(n, at, event) for n, (at, event) in enumerate(events, 1)]
