"""A daemon that stands still: its database and its API are real, what its executors do is the test's to say."""

from collections.abc import Awaitable, Callable
from datetime import timedelta
from typing import TypeAlias

import msgspec

from obelisk_daemon.api.catalog import FunctionCatalog
from obelisk_daemon.api.services import DaemonStatus, ExecutorInfo, FunctionInfo, Services
from obelisk_daemon.clock import Instant, after
from obelisk_daemon.execution.events import Event
from obelisk_daemon.execution.wit_types import FunctionType, Primitive, ResultType
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.generations import AllowedFunction
from tests.building import ACTIVITY, DIGEST, EXECUTOR, OTHER_DIGEST, OTHER_EXECUTOR, WORKFLOW, RunScript
from tests.conformance.members import STUB
from tests.conformance.world import World
from tests.fakes.api import FakeWorld

FIBO = FunctionInfo(
    ffqn=Ffqn.parse(ACTIVITY),
    kind="activity",
    component="fibo",
    digest=DIGEST,
    type=FunctionType((("n", Primitive("u8")),), ResultType(Primitive("u64"))),
    labels=("eu",),
)
FIBOA = msgspec.structs.replace(
    FIBO, ffqn=Ffqn.parse(WORKFLOW), kind="workflow", component="orders", labels=(), on_upgrade="replay"
)
APPROVE = FunctionInfo(
    ffqn=Ffqn.parse(STUB),
    kind="stub",
    component="approval",
    digest=DIGEST,
    type=FunctionType((), ResultType(Primitive("bool"), Primitive("string"))),
)
DEFAULT = ExecutorInfo(name="default", executor_id=EXECUTOR, labels=("eu",), max_running=200, running=3, hot=1)
LARGE = ExecutorInfo(name="large", executor_id=OTHER_EXECUTOR, labels=("eu", "gpu"), max_running=8, running=0, hot=0)


class Stage(FakeWorld):
    """What is asked why. `functions` and `executors` are what the daemon has; `world` writes to the database."""

    def __init__(self, world: World) -> None:
        super().__init__()
        self.world = world
        self.functions = {ACTIVITY: FIBO, WORKFLOW: FIBOA, STUB: APPROVE}
        self.executors = (DEFAULT, LARGE)
        self.disk_full = False

    def services(self) -> Services:
        catalog = FunctionCatalog(3, (), list(self.functions.values()))
        return super().services()._replace(reader=self.world.store.reads, catalog=lambda: catalog)

    def status(self) -> DaemonStatus:
        now = self.world.now
        return msgspec.structs.replace(super().status(), now=now, executors=self.executors, disk_full=self.disk_full)

    def change(self, ffqn: str, **changes: object) -> None:
        """Give the daemon another version of a function."""
        self.functions[ffqn] = msgspec.structs.replace(self.functions[ffqn], **changes)

    async def activate(self, number: int = 2, **changes: object) -> None:
        """Have the database know another version of the workflow's code as the current one."""
        self.change(WORKFLOW, **{"digest": OTHER_DIGEST, **changes})
        workflow = self.functions[WORKFLOW]
        allowed = AllowedFunction(workflow.digest, workflow.component, workflow.on_upgrade)
        await self.world.activate(number, {ACTIVITY: DIGEST, STUB: DIGEST, WORKFLOW: allowed})

    def soon(self, **duration: float) -> Instant:
        return after(self.world.now, timedelta(**duration))

    async def workflow(self, number: int = 1) -> RunScript:
        return await self.world.workflow(number)

    async def adds(self, run: RunScript, *events: Event, **details: object) -> None:
        await self.world.append(run.append(self.world.now, *events, **details))


Scene: TypeAlias = Callable[[Stage], Awaitable[ExecutionId]]
SCENES: dict[str, Scene] = {}
"""By name: what happens before somebody asks; each gives who is asked about."""


def scene(act: Scene) -> Scene:
    """Have the tests ask about this one, too."""
    SCENES[act.__name__.replace("_", " ")] = act
    return act
