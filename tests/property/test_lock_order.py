"""What is locked, and in which order, is what the rule of DESIGN.md section 5 says: compared with a model of it."""

import asyncio
import os
from collections.abc import Iterator
from itertools import groupby, zip_longest

import msgspec
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from obelisk_daemon.execution.events import Finished
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.generations import AllowedFunction, QueueLimit
from obelisk_daemon.storage.records import Held
from tests.building import DIGEST, OK, OTHER_DIGEST, RunScript, created, new_execution
from tests.conformance.world import World
from tests.stores import Place, Places

FUNCTIONS = ("testing:a/a.a", "testing:b/b.b", "testing:b/b.c")
COMPONENTS = {FUNCTIONS[0]: "a", FUNCTIONS[1]: "b", FUNCTIONS[2]: "b"}
LABELS = ("eu", "gpu")

label_sets = st.sets(st.sampled_from(LABELS)).map(lambda some: tuple(sorted(some)))

EXAMPLES = 400 if os.environ.get("OBELISK_SOAK") else 40
"""On each kind of database."""


class Waiting(msgspec.Struct, frozen=True):
    """An execution to submit."""

    ffqn: str
    due_in: int
    priority: int | None
    labels: tuple[str, ...]


class Rule(msgspec.Struct, frozen=True):
    """What the manifest says of a function."""

    digest: str
    priority: int
    labels: tuple[str, ...]


class Turn(msgspec.Struct, frozen=True):
    """One attempt to lock, by an executor that offers labels and knows some functions; `ends` runs end before it."""

    limit: int
    offered: tuple[str, ...]
    functions: tuple[str, ...]
    ends: int


class Scene(msgspec.Struct, frozen=True):
    """One example."""

    waiting: list[Waiting]
    rules: tuple[Rule, Rule, Rule]
    limits: tuple[int | None, int | None]
    turns: list[Turn]


SCENES = st.builds(
    Scene,
    st.lists(
        st.builds(
            Waiting, st.sampled_from(FUNCTIONS), st.integers(-4, 1), st.sampled_from([None, None, 4, 5, 6]), label_sets
        ),
        max_size=25,
    ),
    st.tuples(*[st.builds(Rule, st.sampled_from([DIGEST, DIGEST, OTHER_DIGEST]), st.integers(4, 6), label_sets)] * 3),
    st.tuples(*[st.none() | st.integers(0, 4)] * 2),
    st.lists(
        st.builds(
            Turn,
            st.integers(1, 8),
            label_sets,
            st.permutations(FUNCTIONS).flatmap(lambda of: st.integers(1, 3).map(lambda n: tuple(of[:n]))),
            st.integers(0, 3),
        ),
        min_size=1,
        max_size=5,
    ),
)


class Model:
    """The rule, over lists. What is known to executors is `DIGEST` only."""

    def __init__(self, scene: Scene) -> None:
        self._rules = dict(zip(FUNCTIONS, scene.rules, strict=True))
        self._limits = dict(zip(("a", "b"), scene.limits, strict=True))
        self._waiting = list(enumerate(scene.waiting, start=1))
        self.running: list[tuple[int, Waiting]] = []

    def lock(self, turn: Turn) -> list[int]:
        chosen: list[int] = []
        mine = [one for one in self._waiting if self._may_run(turn, one[1])]
        mine.sort(key=lambda one: -self._priority(one[1]))
        for _, of_priority in groupby(mine, key=lambda one: self._priority(one[1])):
            for one in self._in_turn(turn, list(of_priority)):
                if len(chosen) < turn.limit and self._has_room(COMPONENTS[one[1].ffqn]):
                    chosen.append(one[0])
                    self._waiting.remove(one)
                    self.running.append(one)
        return chosen

    def _in_turn(self, turn: Turn, some: list[tuple[int, Waiting]]) -> Iterator[tuple[int, Waiting]]:
        """Give one of each function after the other, the longest due first in each."""
        some.sort(key=lambda one: (one[1].due_in, one[0]))
        of_each = [[one for one in some if one[1].ffqn == ffqn] for ffqn in turn.functions]
        for row in zip_longest(*of_each):
            yield from (one for one in row if one is not None)

    def _may_run(self, turn: Turn, one: Waiting) -> bool:
        rule = self._rules[one.ffqn]
        is_known = one.ffqn in turn.functions and rule.digest == DIGEST
        return is_known and one.due_in <= 0 and {*rule.labels, *one.labels} <= {*turn.offered}

    def _priority(self, one: Waiting) -> int:
        return self._rules[one.ffqn].priority if one.priority is None else one.priority

    def _has_room(self, component: str) -> bool:
        limit = self._limits[component]
        return limit is None or sum(COMPONENTS[one.ffqn] == component for _, one in self.running) < limit


class Real:
    """The same on a store."""

    def __init__(self, world: World) -> None:
        self._world = world
        self._running: list[Held] = []

    async def begin(self, scene: Scene) -> None:
        rules = dict(zip(FUNCTIONS, scene.rules, strict=True))
        allowed = {
            ffqn: AllowedFunction(rule.digest, COMPONENTS[ffqn], labels=rule.labels, priority=rule.priority)
            for ffqn, rule in rules.items()
        }
        limits = dict(zip(("a", "b"), [QueueLimit(max_running=limit) for limit in scene.limits], strict=True))
        await self._world.activate(1, allowed, **limits)
        now = self._world.now
        for number, one in enumerate(scene.waiting, start=1):
            event = created(
                one.ffqn,
                due_at=now + one.due_in,
                priority=one.priority,
                labels=one.labels,
                component=COMPONENTS[one.ffqn],
            )
            await self._world.store.submit(new_execution(event, number, at=now))

    async def lock(self, turn: Turn) -> list[int]:
        held = await self._world.lock(
            limit=turn.limit, labels=turn.offered, runnable=[(ffqn, DIGEST) for ffqn in turn.functions]
        )
        self._running += held
        return [_number(one.execution_id) for one in held]

    async def end(self, count: int) -> None:
        ending, self._running = self._running[:count], self._running[count:]
        for held in ending:
            await self._world.append(RunScript(held).append(self._world.now, Finished(OK)))


def _number(execution_id: ExecutionId) -> int:
    return int(execution_id.removeprefix("E_"))


async def compare(scene: Scene, place: Place) -> None:
    async with place.open() as store:
        model, real = Model(scene), Real(World(store))
        await real.begin(scene)
        for turn in scene.turns:
            del model.running[: turn.ends]
            await real.end(turn.ends)
            assert await real.lock(turn) == model.lock(turn)


# each example has a database of its own
@settings(max_examples=EXAMPLES, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(scene=SCENES)
def test_what_is_locked_is_what_the_rule_says(places: Places, scene: Scene) -> None:
    with places.new() as place:
        asyncio.run(compare(scene, place))
