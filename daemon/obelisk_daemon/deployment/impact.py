"""What a candidate would do to executions that are unfinished: what they lose, and which older code they keep."""

from collections import defaultdict
from collections.abc import AsyncIterator, Collection, Iterator, Mapping, Sequence
from typing import Final, Literal, Protocol, TypeAlias

import msgspec

from obelisk_config import Diagnostic, at
from obelisk_daemon.deployment.checking import Candidate
from obelisk_daemon.deployment.planning import Retained, broken_calls
from obelisk_daemon.errors import CallerError, ComponentError, OperatorError
from obelisk_daemon.execution.events import Created, Entry
from obelisk_daemon.execution.wit_json import params_from_json, same, to_json
from obelisk_daemon.execution.wit_text import signature
from obelisk_daemon.execution.wit_types import FunctionType, same_shape
from obelisk_daemon.executor.plan import FunctionPlan
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.generations import GenerationStore, WorkInProgress
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.component import Component

Leave: TypeAlias = Literal["remove", "break"]
_KEEPING: Final = ("replay", "pin")
_BATCH: Final = 500
_LISTED: Final = 5
_MOST_COUNTED: Final = 1_000
_REMOVE_HINT: Final = "let them finish or cancel them; or allow it: obelisk-ctl manifest reload --allow-remove"
_BREAK_HINT: Final = "let them finish or cancel them; or let such calls fail: obelisk-ctl manifest reload --allow-break"


class EventReader(Protocol):
    """What is read of single executions."""

    async def entries(self, execution_id: ExecutionId, from_version: int, limit: int) -> list[Entry]:
        """Read events from a version on."""
        ...


class Loss(msgspec.Struct, frozen=True):
    """Something that unfinished executions would lose, and the leave of the operator that it needs."""

    needs: Leave
    component: str
    code: str
    message: str


class Impact(msgspec.Struct, frozen=True):
    """What a candidate would do. `unfinished` counts by component, as the executions know it."""

    unfinished: Mapping[str, int]
    losses: tuple[Loss, ...]
    retained: tuple[Retained, ...]

    def refused(self, candidate: Candidate, leaves: Collection[Leave]) -> Iterator[Diagnostic]:
        """Give an error for each loss without the operator's leave."""
        manifest = candidate.manifest
        for loss in self.losses:
            if loss.needs not in leaves:
                hint = _REMOVE_HINT if loss.needs == "remove" else _BREAK_HINT
                path = manifest.positions.get(loss.component, ())
                yield at(manifest.document, path, loss.code, loss.message, hint)


class Assessor:
    """Compares candidates with what is unfinished in the database."""

    def __init__(self, store: GenerationStore, reader: EventReader, compiler: Compiler) -> None:
        self._store = store
        self._reader = reader
        self._compiler = compiler

    async def assess(self, candidate: Candidate, functions: Mapping[str, FunctionPlan]) -> Impact:
        """Find what would happen; `functions` are those that are there now, by ffqn.

        What was lost before is not lost again: it was allowed then.
        """
        active = {ffqn: function.type for ffqn, function in functions.items()}
        work = await self._store.work_in_progress()
        types = candidate.exports
        unfinished: dict[str, int] = defaultdict(int)
        for one in work:
            unfinished[one.component] += one.unfinished
        retained, unusable = await self._retained(candidate, work)
        losses = [
            *unusable,
            *_removed(candidate, work, active),
            *_changed_kinds(candidate, work, functions),
            *_broken(retained, work, types, active),
            *[loss async for loss in self._misfits(candidate, work, active)],
        ]
        return Impact(unfinished, tuple(losses), retained)

    async def _retained(
        self, candidate: Candidate, work: Sequence[WorkInProgress]
    ) -> tuple[tuple[Retained, ...], list[Loss]]:
        """Load the older code that executions are on and may stay on; tell what can't be loaded.

        The code that is active now is older code by then, on which more may have been started meanwhile.
        """
        needed: dict[tuple[str, str], set[str]] = defaultdict(set)
        keeping = {
            str(ffqn): (spec.name, candidate.components[spec.name].digest)
            for spec in candidate.manifest.components
            if spec.on_upgrade in _KEEPING
            for ffqn in candidate.components[spec.name].exports
        }
        for one in work:
            name, digest = keeping.get(one.ffqn, ("", one.digest))
            if one.started and one.digest != digest:
                needed[name, one.digest].add(one.ffqn)
        active = await self._store.active_generation()
        for ffqn, (name, digest) in keeping.items():
            now = None if active is None else active.allowed.get(ffqn)
            if now is not None and now.digest != digest and now.on_upgrade != "latest":
                needed[name, now.digest].add(ffqn)
        retained, unusable = [], []
        for (name, digest), ffqns in needed.items():
            try:
                retained.append(Retained(name, await self._load(digest), tuple(map(Ffqn.parse, sorted(ffqns)))))
            except (ComponentError, OperatorError) as error:
                message = f'older code of "{name}" that unfinished executions are on can\'t be used: {error}'
                unusable.append(Loss("break", name, error.code, message))
        return tuple(retained), unusable

    async def _load(self, digest: str) -> Component:
        code = await self._store.component_code(digest)
        if code is None:
            raise ComponentError("code_lost", f"the database has executions on {digest}, but not that code")
        return await self._compiler.load(code, "workflow")

    async def _misfits(
        self, candidate: Candidate, work: Sequence[WorkInProgress], active: Mapping[str, FunctionType]
    ) -> AsyncIterator[Loss]:
        """Find functions whose new type does not take the parameters of executions that will run on it."""
        policies = {spec.name: spec.on_upgrade for spec in candidate.manifest.components}
        owners, types = candidate.owners, candidate.exports
        for ffqn in sorted({one.ffqn for one in work}):
            now, was = types.get(ffqn), active.get(ffqn)
            if now is None or was is None or same_shape(FunctionType(now.params), FunctionType(was.params)):
                continue
            stays = policies.get(owners[ffqn]) in _KEEPING  # those that were started keep their code if need be
            found: list[ExecutionId] = []
            async for each in self._misfitting(ffqn, now, only_new=stays):
                found.append(each)
                if len(found) == _MOST_COUNTED:
                    break
            if found:
                least = "at least " if len(found) == _MOST_COUNTED else ""
                message = (
                    f"{least}{len(found)} unfinished executions of {ffqn} have other parameters than {signature(now)}"
                )
                yield Loss("break", owners[ffqn], "stored_params_misfit", f"{message}: {_listed(found)}")

    async def _misfitting(self, ffqn: str, of: FunctionType, *, only_new: bool) -> AsyncIterator[ExecutionId]:
        after = ""
        while batch := await self._store.unfinished_of(ffqn, after, _BATCH):
            for execution_id in batch:
                created = (await self._reader.entries(execution_id, 0, 1))[0].event
                assert isinstance(created, Created)
                if only_new and await self._reader.entries(execution_id, 1, 1):
                    continue
                if not _fits(of, created.params):
                    yield execution_id
            after = batch[-1]


def _removed(
    candidate: Candidate, work: Sequence[WorkInProgress], active: Mapping[str, FunctionType]
) -> Iterator[Loss]:
    """Find functions with unfinished executions that nobody would export any more."""
    types = candidate.exports
    kept = set(candidate.manifest.positions)
    lost: dict[tuple[str, str], int] = defaultdict(int)
    for one in work:
        if one.ffqn in active and one.ffqn not in types:
            lost[one.component, one.ffqn] += one.unfinished
    for (component, ffqn), number in lost.items():
        if component in kept:
            message = f'"{component}" no longer exports {ffqn}, of which {number} executions are unfinished'
            yield Loss("break", component, "removes_function", message)
        else:
            message = f'"{component}" is gone, and {number} executions of {ffqn} are unfinished'
            yield Loss("remove", component, "removes_component", message)


def _changed_kinds(
    candidate: Candidate, work: Sequence[WorkInProgress], functions: Mapping[str, FunctionPlan]
) -> Iterator[Loss]:
    """Find functions that would be of another kind: a workflow's log is none of an activity, and nobody runs a stub."""
    owners, kinds = candidate.owners, {spec.name: spec.kind for spec in candidate.manifest.components}
    lost: dict[str, int] = defaultdict(int)
    for one in work:
        was, owner = functions.get(one.ffqn), owners.get(one.ffqn)
        if was is None or owner is None:
            continue
        before, after = was.component.kind, kinds.get(owner, "stub")
        if before != after:
            lost[one.ffqn] += one.unfinished if "stub" in (before, after) else one.started
    for ffqn, number in lost.items():
        if number:
            message = f"{ffqn} would be of another kind, and {number} executions of it are unfinished"
            yield Loss("break", owners[ffqn], "changes_kind", message)


def _broken(
    retained: Sequence[Retained],
    work: Sequence[WorkInProgress],
    types: Mapping[str, FunctionType],
    active: Mapping[str, FunctionType],
) -> Iterator[Loss]:
    """Find calls of older code that would no longer find the function they know."""
    on: dict[str, int] = defaultdict(int)
    for one in work:
        on[one.digest] += one.started
    for older in retained:
        if not on[older.component.digest]:
            continue
        before = broken_calls(older.component, active)
        for ffqn in broken_calls(older.component, types):
            if ffqn not in before:
                digest = older.component.digest
                how = "has another type now" if ffqn in types else "is gone"
                message = f'{on[digest]} unfinished executions are on older code of "{older.name}" ({digest[:19]}...)'
                yield Loss("break", older.name, "breaks_older_code", f"{message}, which calls {ffqn}: that {how}")


def _fits(of: FunctionType, params: list[object]) -> bool:
    try:
        return same(params_from_json(of, to_json(params)), params)
    except CallerError:
        return False


def _listed(found: Sequence[ExecutionId]) -> str:
    more = f" and {len(found) - _LISTED} more" if len(found) > _LISTED else ""
    return ", ".join(found[:_LISTED]) + more
