"""Submitting: idempotent by execution id (DESIGN.md section 4)."""

from obelisk_daemon.api.catalog import names_of
from obelisk_daemon.api.documents import Submission
from obelisk_daemon.api.services import Catalog, Services
from obelisk_daemon.errors import CallerError, ConflictError, NotFoundError
from obelisk_daemon.execution.events import Created
from obelisk_daemon.execution.wit_json import params_from_json, same, to_json
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import ExecutionId


async def submit(services: Services, execution_id: ExecutionId, wanted: Submission) -> bool:
    """Create the execution, or find that the same one is there; True when it is new.

    The same one is found before the manifest is looked at: a client that lost the answer gets it, even though the
    function may have gone since.

    Raises:
        CallerError: the function or its parameters are wrong.
        ConflictError: `execution_exists`: the id belongs to another call.
        StorageUnavailableError: nothing was written.
    """
    created = await _created(services, execution_id)
    if created is not None:
        _require_same(services.catalog(), execution_id, created, wanted)
        return False
    function = services.catalog().find(wanted.ffqn)
    params = params_from_json(function.type, wanted.params)
    return await services.engine.submit(execution_id, function, params, None)


async def _created(services: Services, execution_id: ExecutionId) -> Created | None:
    try:
        await services.reader.summary(execution_id)
    except NotFoundError:
        return None
    entries = await services.reader.entries(execution_id, 0, 1)
    event = entries[0].event
    assert isinstance(event, Created)
    return event


def _require_same(catalog: Catalog, execution_id: ExecutionId, created: Created, wanted: Submission) -> None:
    if wanted.ffqn.removeprefix(".../") not in names_of(Ffqn.parse(created.ffqn)):
        raise _exists(execution_id, f"a call of {created.ffqn}")
    if not same(to_json(created.params), wanted.params) and not _same_values(catalog, created, wanted):
        raise _exists(execution_id, f"a call of {created.ffqn} with other parameters")


def _exists(execution_id: ExecutionId, what: str) -> ConflictError:
    return ConflictError(
        "execution_exists", f"{execution_id} is {what}; `obelisk-ctl show {execution_id}` shows it, a new id is free"
    )


def _same_values(catalog: Catalog, created: Created, wanted: Submission) -> bool:
    """Compare as the current type reads the parameters; a type that has gone or changed since can't tell."""
    try:
        return same(created.params, params_from_json(catalog.find(created.ffqn).type, wanted.params))
    except CallerError:
        return False
