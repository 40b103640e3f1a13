"""Reading what the rules go by: a few rows of the database for each execution, and what the daemon knows itself."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Final

from obelisk_daemon.api.documents import ReasonDocument, WhyDocument
from obelisk_daemon.api.services import Catalog, DaemonStatus, FunctionInfo, Services
from obelisk_daemon.api.why.facts import Facts, Offer
from obelisk_daemon.api.why.rules import explain
from obelisk_daemon.clock import after
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Summary

_SEEN_WITHIN: Final = timedelta(hours=1)
_MOST_EXECUTORS: Final = 500
_DEEPEST: Final = 32
"""Children below the execution that is asked about: workflows are nested no deeper."""


async def explained(services: Services, execution_id: ExecutionId) -> WhyDocument:
    """Say why an execution does not run, and of the child it waits for why that does not, down to the last one.

    Raises:
        NotFoundError: `execution_not_found`.
    """
    facts = await facts_of(services, execution_id)
    reasons = [told async for told in _told(services, facts, None, _DEEPEST)]
    summary = facts.summary
    return WhyDocument(execution_id=execution_id, state=summary.status, lifecycle=summary.lifecycle, reasons=reasons)


async def _told(services: Services, facts: Facts, of: ExecutionId | None, deeper: int) -> AsyncIterator[ReasonDocument]:
    """Give the reasons of an execution, and after a child that it waits for that one's, so many levels deep."""
    for reason in explain(facts):
        commands = list(reason.commands) or None
        yield ReasonDocument(code=reason.code, text=reason.text, commands=commands, execution_id=of)
        if reason.child is not None and deeper:
            below = await facts_of(services, reason.child)
            async for told in _told(services, below, reason.child, deeper - 1):
                yield told


async def facts_of(services: Services, execution_id: ExecutionId) -> Facts:
    """Read all that is known of one execution.

    Raises:
        NotFoundError: `execution_not_found`.
    """
    daemon, reader = services.engine.status(), services.reader
    standing = await reader.standing(execution_id, daemon.now)
    summary = standing.summary
    function = _function(services.catalog(), summary)
    failed_on, running = None, 0
    if function is not None and summary.status != "finished":
        failed_on = await reader.failed_on(execution_id, function.digest, HOST_ABI)
        if function.max_running is not None:
            running = await reader.locked_of(function.component)
    elsewhere = () if summary.status == "finished" else await _elsewhere(services, daemon)
    return Facts(
        standing=standing,
        daemon=daemon,
        function=function,
        failed_on=failed_on,
        running=running,
        elsewhere=elsewhere,
    )


async def _elsewhere(services: Services, daemon: DaemonStatus) -> tuple[Offer, ...]:
    """Read the executors of other hosts that are alive: of each name the one that started last."""
    hosts = {one.host: one for one in await services.reader.hosts() if one.is_alive(daemon.now)}
    known = await services.reader.executors(after(daemon.now, -_SEEN_WITHIN), _MOST_EXECUTORS)
    here = {info.executor_id for info in daemon.executors}
    own = {one.host for one in known if one.executor_id in here}
    found: dict[tuple[str, str], Offer] = {}
    for one in known:
        if one.host in hosts and one.host not in own:
            offer = Offer(
                executor_id=one.executor_id,
                name=one.name,
                labels=one.labels,
                max_running=one.max_running,
                running=one.running,
                host=hosts[one.host],
            )
            found.setdefault((one.host, one.name), offer)
    return tuple(found[key] for key in sorted(found))


def _function(catalog: Catalog, summary: Summary) -> FunctionInfo | None:
    """Find the function by its whole name: one that is found by a part of it is another one."""
    try:
        found = catalog.find(summary.ffqn)
    except CallerError:
        return None
    return found if str(found.ffqn) == summary.ffqn else None
