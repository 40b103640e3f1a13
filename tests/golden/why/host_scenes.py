"""What has happened on other hosts when somebody asks about an execution."""

from datetime import timedelta

from obelisk_daemon.clock import after
from obelisk_daemon.ids import ExecutionId, ExecutorId
from obelisk_daemon.storage.hosts import NewHost
from obelisk_daemon.storage.upkeep import NewExecutor
from tests.building import created
from tests.golden.why.stage import DEFAULT, LARGE, Stage, scene


async def host(stage: Stage, name: str, *labels: str, generation: int = 3, seconds: int = 15) -> None:
    """Have a host be there, with one executor and a lease that lasts so long."""
    store, now = stage.world.store, stage.world.now
    until = after(now, timedelta(seconds=seconds))
    await store.register_host(NewHost(name, "0.1.0"), now, until)
    new = NewExecutor(ExecutorId(f"Exr_{name}"), name, "default", labels, 4)
    await store.register_executor(new, now, until)
    await store.note_generation(name, generation)


async def here(stage: Stage) -> None:
    """Have the daemon that is asked be one of those hosts."""
    store, now = stage.world.store, stage.world.now
    until = after(now, timedelta(seconds=15))
    await store.register_host(NewHost("here", "0.1.0"), now, until)
    for one in (DEFAULT, LARGE):
        await store.register_executor(NewExecutor(one.executor_id, "here", one.name, one.labels, 8), now, until)


@scene
async def no_host_offers_its_labels(stage: Stage) -> ExecutionId:
    await here(stage)
    await host(stage, "b", "cpu", "eu")
    await host(stage, "c")
    await host(stage, "dead", "arm", seconds=0)
    return await stage.world.submit(created(labels=("arm",)))


@scene
async def another_host_offers_its_labels(stage: Stage) -> ExecutionId:
    await here(stage)
    await host(stage, "b", "arm", "eu")
    return await stage.world.submit(created(labels=("arm",)))


@scene
async def only_hosts_that_are_behind_or_drain_offer_its_labels(stage: Stage) -> ExecutionId:
    await here(stage)
    await host(stage, "b", "arm", "eu", generation=2)
    await host(stage, "c", "arm", "eu")
    await stage.world.store.set_draining("c", True)
    return await stage.world.submit(created(labels=("arm",)))


@scene
async def running_on_another_host(stage: Stage) -> ExecutionId:
    await here(stage)
    await host(stage, "b", "eu")
    known = await stage.world.submit()
    await stage.world.lock(executor=ExecutorId("Exr_b"))
    return known
