"""Submitting: idempotent by execution id (DESIGN.md section 4)."""

from datetime import timedelta
from typing import Final

from obelisk_config.forms import LABEL
from obelisk_config.forms import label as check_label
from obelisk_config.rules import FormError
from obelisk_config.units import parse_duration
from obelisk_daemon.api import describing
from obelisk_daemon.api.catalog import names_of
from obelisk_daemon.api.documents import ExecutionDocument, Submission
from obelisk_daemon.api.services import Catalog, NewCall, Services
from obelisk_daemon.api.showing import created_of
from obelisk_daemon.api.tags import checked_tags
from obelisk_daemon.clock import from_rfc3339
from obelisk_daemon.errors import CallerError, ConflictError, NotFoundError, StorageUnavailableError
from obelisk_daemon.execution.events import Created, Intent
from obelisk_daemon.execution.wit_json import params_from_json, same, to_json
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import ExecutionId

_LONGEST: Final = timedelta(days=36_525)
_MICROSECOND: Final = timedelta(microseconds=1)
_MOST_LABELS: Final = 64
_HIGHEST: Final = 9


async def submit(services: Services, execution_id: ExecutionId, wanted: Submission) -> ExecutionDocument | None:
    """Create the execution and describe it; None when the same one is there already.

    Only of what can't be made is looked up whether it is there: a client that lost the answer gets it, even though the
    function may have gone since, or the disk be full.

    Raises:
        CallerError: the function, its parameters or the time are wrong.
        ConflictError: `execution_exists`: the id belongs to another call.
        StorageUnavailableError: nothing was written.
    """
    catalog = services.catalog()
    try:
        call = call_of(catalog, execution_id, wanted)
        made = await services.engine.submit(call)
    except (CallerError, StorageUnavailableError):
        if not await _is_there(services, execution_id, wanted):
            raise
        return None
    if made is None:
        return None
    return describing.execution(made, catalog, describing.Background(params=to_json(call.params)))


async def _is_there(services: Services, execution_id: ExecutionId, wanted: Submission) -> bool:
    """Tell if the same call is there, maybe in other words.

    Raises:
        CallerError: the time, a label, a tag or the priority is wrong.
        ConflictError: `execution_exists`: the id belongs to another call.
    """
    intent, labels, tags = _intent(wanted), _labels(wanted), checked_tags(wanted.tags)
    created = await created_of(services, execution_id)
    if created is None:
        return False
    _require_same(services.catalog(), execution_id, created, wanted)
    if created.intent != intent:
        raise _exists(execution_id, f"a call of {created.ffqn} for another time")
    if (created.labels, created.priority, created.tags) != (labels, _priority(wanted), tags):
        raise _exists(execution_id, f"a call of {created.ffqn} with other labels or tags, or another priority")
    return True


def call_of(catalog: Catalog, execution_id: ExecutionId, wanted: Submission) -> NewCall:
    """Read a submission as the active generation understands it.

    Raises:
        CallerError: the function, its parameters, the time, a label, a tag or the priority is wrong.
    """
    function = catalog.find(wanted.ffqn)
    return NewCall(
        execution_id=execution_id,
        function=function,
        params=params_from_json(function.type, wanted.params),
        intent=_intent(wanted),
        labels=_labels(wanted),
        priority=_priority(wanted),
        tags=checked_tags(wanted.tags),
    )


async def retry(services: Services, original: ExecutionId, execution_id: ExecutionId) -> bool:
    """Create a top-level execution that repeats a finished one, or find that it is there; True when it is new.

    Raises:
        NotFoundError: `execution_not_found`.
        CallerError: the function has gone, or takes other parameters now.
        ConflictError: `not_finished`; `execution_exists`: the new id belongs to another call.
        StorageUnavailableError: nothing was written.
    """
    there = await created_of(services, execution_id)
    if there is not None:
        if there.retried_from != original:
            raise _exists(execution_id, f"a call of {there.ffqn} that does not repeat {original}")
        return False
    created = await created_of(services, original)
    if created is None:
        raise NotFoundError("execution_not_found", f"there is no execution {original}")
    if (await services.reader.summary(original)).status != "finished":
        raise ConflictError("not_finished", f"{original} has not finished; cancel it first, or wait for its result")
    function = services.catalog().find(created.ffqn)
    params = params_from_json(function.type, to_json(created.params))
    call = NewCall(
        execution_id=execution_id,
        function=function,
        params=params,
        retried_from=original,
        labels=created.labels,
        priority=created.priority,
        tags=created.tags,
    )
    return await services.engine.submit(call) is not None


def _intent(wanted: Submission) -> Intent | None:
    """Read when the call may start; None for at once.

    Raises:
        CallerError: `invalid_due`.
    """
    try:
        match wanted.due_at, wanted.due_in:
            case None, None:
                return None
            case str(text), None:
                return ("at", from_rfc3339(text))
            case None, str(text):
                return ("in", _bounded(parse_duration(text)) // _MICROSECOND)
            case _:
                raise ValueError("give due_at or due_in, not both")
    except ValueError as error:
        raise CallerError("invalid_due", str(error)) from None


def _labels(wanted: Submission) -> tuple[str, ...]:
    """Read what the executor must offer, as a set.

    Raises:
        CallerError: `invalid_label`.
    """
    if len(wanted.labels) > _MOST_LABELS:
        raise CallerError("invalid_label", f"{len(wanted.labels)} labels; there may be up to {_MOST_LABELS}")
    try:
        return tuple(sorted({check_label(label) for label in wanted.labels}))
    except FormError as error:
        raise CallerError("invalid_label", f"{error}; {LABEL.hint}") from None


def _priority(wanted: Submission) -> int | None:
    if wanted.priority is not None and not 0 <= wanted.priority <= _HIGHEST:
        raise CallerError("invalid_priority", f"priority {wanted.priority} is not from 0 to {_HIGHEST}")
    return wanted.priority


def _bounded(duration: timedelta) -> timedelta:
    if duration > _LONGEST:
        raise ValueError("due_in is longer than 100 years")
    return duration


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
