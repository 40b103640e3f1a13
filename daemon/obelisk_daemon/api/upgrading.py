"""Moving a workflow to the current code of its function, after its log was replayed there."""

from obelisk_daemon.api.documents import UpgradeDocument
from obelisk_daemon.api.services import FunctionInfo, Services
from obelisk_daemon.errors import ConflictError
from obelisk_daemon.execution.divergence import HOST_ABI
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.records import Summary


async def upgrade(services: Services, execution_id: ExecutionId, *, force: bool) -> UpgradeDocument:
    """Move a workflow, unless it is on the current code and has not failed there; tell what was done.

    What it adds to its log between the replay and the move was not replayed. Its next run replays everything, and
    pauses it where that diverges, so the worst is a pause.

    Raises:
        NotFoundError: `execution_not_found`.
        CallerError: `function_not_found`; `replay_too_long` and others of a replay.
        ConflictError: `not_a_workflow`, `already_finished`, `cancelling`, `diverges`, `outdated`.
        HostExhaustedError: this machine has no room for the guest now.
    """
    summary = await services.reader.summary(execution_id)
    function = services.catalog().find(summary.ffqn)
    _check(summary, function)
    rehearsal, digest = None, function.digest
    if changed := await _has_to_move(services, summary, digest):
        if not force:
            rehearsal, digest = await _rehearse(services, execution_id)
        await services.engine.upgrade(execution_id, digest, force=force)
        summary = await services.reader.summary(execution_id)
    return UpgradeDocument(
        execution_id=execution_id,
        changed=changed,
        component_digest=digest,
        state=summary.status,
        lifecycle=summary.lifecycle,
        rehearsal=rehearsal,
    )


def _check(summary: Summary, function: FunctionInfo) -> None:
    known = summary.execution_id
    if function.kind != "workflow":
        message = f"{known} is of the {function.kind} {summary.ffqn}; what is no workflow runs the current code anyway"
        raise ConflictError("not_a_workflow", message)
    if summary.status == "finished":
        raise ConflictError("already_finished", f"{known} has finished")


async def _has_to_move(services: Services, summary: Summary, digest: str) -> bool:
    """Tell if there is anything to do: one that was never started starts on the current code by itself."""
    if summary.started_at is None:
        return False
    return (
        summary.digest != digest or await services.reader.failed_on(summary.execution_id, digest, HOST_ABI) is not None
    )


async def _rehearse(services: Services, execution_id: ExecutionId) -> tuple[str, str]:
    """Replay the log on the current code; give what that found, and the digest of the code.

    Raises:
        ConflictError: `diverges`.
    """
    report = await services.replayer.replay(execution_id, None)
    if not report.passed:
        raise ConflictError(
            "diverges", f"{execution_id} stays as it is: on {report.component_digest} it {report.summary}"
        )
    return report.summary, report.component_digest
