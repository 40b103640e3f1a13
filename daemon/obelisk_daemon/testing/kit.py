"""Running a workflow's component in a test."""

import asyncio
from collections.abc import Coroutine, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from os import PathLike
from pathlib import Path
from typing import Any, Final, TypeVar

import msgspec

from obelisk_daemon.api.rendering import entry_json, response_json
from obelisk_daemon.clock import Instant
from obelisk_daemon.deployment.rehearsal import rehearse
from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.events import Created, Finished, GuestTerms
from obelisk_daemon.execution.outcome import Failed, FailureRecord, Outcome, Returned
from obelisk_daemon.execution.saved_log import SavedLog, document_of, functions_in, read_document
from obelisk_daemon.execution.wit_json import params_from_json
from obelisk_daemon.execution.wit_parse import parse_function
from obelisk_daemon.execution.wit_tokens import WitError
from obelisk_daemon.execution.wit_types import FunctionType
from obelisk_daemon.executor.evidence import evidence_of
from obelisk_daemon.executor.replaying import Verdict
from obelisk_daemon.executor.workflow_guest import Program, Stopped, call_workflow, close_open_sets
from obelisk_daemon.ffqn import Ffqn
from obelisk_daemon.ids import ExecutionId, encode_ulid
from obelisk_daemon.testing.loading import load
from obelisk_daemon.testing.stubs import Answer, Call, Duration, Failure, Functions, KitError, Stub, jsonable
from obelisk_daemon.testing.world import Log, Scheduled, World, result_json
from obelisk_daemon.wasm.guest import GuestLimits

T = TypeVar("T")

_EPOCH: Final = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND: Final = timedelta(microseconds=1)
_START: Final = datetime(2026, 1, 1, tzinfo=UTC)
_FUEL: Final = 50_000_000_000


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """What a manifest would say of the workflow, with the same defaults, and where the test begins."""

    env: dict[str, str] = {}
    memory: int = 256 << 20
    """Bytes."""
    fuel: int = _FUEL
    host_calls: int = 100_000
    value: int = 4 << 20
    """Bytes."""
    max_history_events: int = 50_000
    start: datetime = _START
    """The virtual time at which each run begins."""
    seed: int = 1
    """What the workflow's random numbers come from; 0 to 2**64 - 1."""
    timeout: timedelta = timedelta(seconds=60)
    """Of real time, for a workflow that computes and never ends."""


class WorkflowKit:
    """Runs the workflows of one component, with stubs for what they call. What it shows is of the last run.

    Compiled code is kept in `cache_dir`, or else in the user's cache directory: the first use of a component takes as
    long as compiling it (seconds for one in Python or JavaScript), the next ones milliseconds. `settings` are the
    fields of `Settings`.
    """

    def __init__(
        self, component: str | PathLike[str], *, cache_dir: str | PathLike[str] | None = None, **settings: Any
    ) -> None:
        self._loaded = load(Path(component), None if cache_dir is None else Path(cache_dir))
        self._settings = Settings(**settings)
        self._functions = Functions(self._loaded.called)
        self._runs = 0
        self._world: World | None = None
        self.logs: list[Log] = []
        """What the workflow logged, and wrote to `stdout` and `stderr`."""
        self.failure: FailureRecord | None = None
        """Why it failed, with the end of its stderr and its wasm backtrace, where it did."""

    def stub(self, ffqn: str, answer: Answer, *, takes: Duration = timedelta(), cancellable: bool = True) -> None:
        """Answer calls of a function: by a function of the parameters as JSON, or by one value.

        The result is JSON of the function's type: `{"ok": ...}` or `{"err": ...}` for a `result`; bytes may stand for
        `list<u8>`. A function may also raise `Err` or `Failure`, or be `async`; what else it raises ends the test.
        Each call takes as much virtual time (or what a function of the parameters says); one that isn't `cancellable`
        is waited for when its join set closes.

        Raises:
            KitError: the component doesn't call it.
        """
        self._functions.set(ffqn, Stub(answer, takes, cancellable))

    def fail(
        self, ffqn: str, kind: str = "timed_out", reason: str = "simulated by a test", *, takes: Duration = timedelta()
    ) -> None:
        """Have all calls of a function fail as the daemon would have them fail, after all retries; see `Failure`.

        Raises:
            KitError: the component doesn't call it, or there is no such kind.
        """
        Failure(kind)  # an unknown kind is told now, and not when it is first called

        def refuse(*_params: object) -> None:
            raise Failure(kind, reason)

        self._functions.set(ffqn, Stub(refuse, takes))

    def leave_pending(self, ffqn: str) -> None:
        """Give calls of a function no result, as for a `[[stub]]`: the workflow gives one itself, or closes them.

        It is so from the beginning for functions whose `-obelisk-stub` extension the component imports.

        Raises:
            KitError: the component doesn't call it.
        """
        self._functions.set(ffqn, Stub(pending=True))

    def declare(self, ffqn: str, params: Mapping[str, str], returns: str | None = None) -> None:
        """Make a function known that the component calls by JSON only: its parameters and result in WIT.

        Raises:
            KitError: a type is no WIT.
        """
        try:
            of = parse_function(list(params.items()), returns)
        except WitError as error:
            raise KitError(f"{ffqn}: {error}") from None
        self._functions.declare(str(Ffqn.parse(ffqn)), of)

    def run(self, ffqn: str, params: Sequence[Any] = ()) -> dict[str, Any]:
        """Run a workflow to its end; `params` are JSON.

        Gives `{"ok": ...}`, `{"err": ...}` or `{"execution_failure": {"kind": ..., ...}}`, as `obelisk-ctl result`
        does; a function without a `result` gives its value as `{"ok": ...}`.

        Raises:
            KitError: a stub is missing or wrong, the parameters are wrong, or the workflow waits for ever.
            TimeoutError: it computes for longer than `timeout`.
            Exception: what a stub raised.
        """
        return _in_a_loop_of_its_own(self.run_async(ffqn, params), "run")

    async def run_async(self, ffqn: str, params: Sequence[Any] = ()) -> dict[str, Any]:
        """Do as `run`, in a loop that runs already."""
        wanted, of = self._find(ffqn)
        try:
            plain = params_from_json(of, jsonable(list(params)))
        except CallerError as error:
            raise KitError(f"{ffqn}: {error}") from None
        self.failure, self._runs = None, self._runs + 1
        world = self._world = World(self._execution_id(), self._created(wanted, plain), self._functions, self._events)
        try:
            async with asyncio.timeout(self._settings.timeout.total_seconds()):
                outcome = await self._carry_out(world, wanted)
        except KitError as error:
            getattr(error, "__notes__", []).clear()  # the guest's backtrace is no part of what to do about it
            raise
        finally:
            self.logs = list(world.logs())
        world.write(Finished(outcome))
        return result_json(outcome)

    async def _carry_out(self, world: World, ffqn: Ffqn) -> Outcome:
        created = world.entries[0].event
        assert isinstance(created, Created)
        set_to = self._settings
        limits = GuestLimits(set_to.memory, set_to.fuel, set_to.host_calls, set_to.value)
        ended = await call_workflow(Program(self._loaded.linked, ffqn, limits), created, world, world.output)
        outcome = ended if isinstance(ended, Returned) else self._failed(world, ended)
        await close_open_sets(world.journal, outcome, world.settle)
        await world.commit()
        return outcome

    def _failed(self, world: World, stopped: Stopped) -> Failed:
        failure = FailureRecord(
            failure_id=world.ids.failure(),
            kind=stopped.kind,
            message=stopped.message,
            backtrace=stopped.backtrace,
            cause=stopped.cause,
            evidence=evidence_of(world.output, []),
        )
        self.failure = failure
        return Failed(stopped.kind, failure.failure_id, failure.message)

    @property
    def calls(self) -> list[Call]:
        """The calls that the last run made, in order."""
        return self._last.calls

    def calls_of(self, ffqn: str) -> list[Call]:
        """The calls of one function."""
        return [call for call in self.calls if call.ffqn == ffqn]

    @property
    def scheduled(self) -> list[Scheduled]:
        """The top-level executions that the last run made."""
        return self._last.scheduled

    @property
    def now(self) -> datetime:
        """The virtual time at the end of the last run."""
        return _EPOCH + timedelta(microseconds=self._last.clock.now())

    @property
    def slept(self) -> timedelta:
        """The virtual time that the last run took: sleeps, delays and calls that take time."""
        return self.now - self._settings.start

    @property
    def log(self) -> SavedLog:
        """The log that a daemon would have written for the last run."""
        world, settings = self._last, self._settings
        return SavedLog(
            execution_id=world.journal.execution_id,
            entries=list(world.entries),
            responses=list(world.responses),
            functions=functions_in(world.entries, self._functions.known_types()),
            memory=settings.memory,
            fuel=settings.fuel,
            host_calls=settings.host_calls,
            value=settings.value,
        )

    def save_log(self, file: str | PathLike[str]) -> None:
        """Write that log as `obelisk-ctl events ID --export FILE` does, to replay it on later versions of the code."""
        saved = self.log
        events, responses = map(entry_json, saved.entries), map(response_json, saved.responses)
        document = document_of(saved, list(events), list(responses))
        Path(file).write_bytes(msgspec.json.format(msgspec.json.encode(document), indent=1))

    def replay(self, log: SavedLog | str | PathLike[str]) -> Verdict:
        """Replay a log, or the file of one, on the component.

        Raises:
            CallerError: it is no log, or not of a workflow of this component.
        """
        return _in_a_loop_of_its_own(self.replay_async(log), "replay")

    async def replay_async(self, log: SavedLog | str | PathLike[str]) -> Verdict:
        """Do as `replay`, in a loop that runs already."""
        saved = log if isinstance(log, SavedLog) else _read(Path(log))
        functions = self._functions.known_types() | saved.functions
        return await rehearse(saved, self._loaded.component, functions)

    def replay_check(self, log: SavedLog | str | PathLike[str] | None = None) -> None:
        """Assert that the component goes on with a log as it stands there: that of the last run, if none is given.

        Raises:
            AssertionError: it asks for something else, or ends otherwise.
        """
        verdict = self.replay(self.log if log is None else log)
        assert verdict.passed if log is not None else verdict.kind == "finished_equal", verdict.summary

    def _find(self, ffqn: str) -> tuple[Ffqn, FunctionType]:
        exports = self._loaded.component.exports
        for known, of in exports.items():
            if str(known) == ffqn:
                return known, of
        raise KitError(f"the component does not export {ffqn}, but {', '.join(map(str, exports)) or 'nothing'}")

    def _execution_id(self) -> ExecutionId:
        start = (self._settings.start - _EPOCH) // timedelta(milliseconds=1)
        return ExecutionId(f"E_{encode_ulid(start, self._runs)}")

    def _created(self, ffqn: Ffqn, params: list[Any]) -> Created:
        settings = self._settings
        return Created(
            ffqn=str(ffqn),
            params=params,
            component="test",
            digest=self._loaded.component.digest,
            due_at=Instant((settings.start - _EPOCH) // _MICROSECOND),
            seed=settings.seed,
            terms=GuestTerms(settings.env, settings.memory, settings.fuel),
        )

    @property
    def _events(self) -> int:
        return self._settings.max_history_events

    @property
    def _last(self) -> World:
        if self._world is None:
            raise KitError("nothing has run yet: call run first")
        return self._world


def _read(file: Path) -> SavedLog:
    return read_document(file.read_bytes())


def _in_a_loop_of_its_own(work: Coroutine[Any, Any, T], name: str) -> T:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return asyncio.run(work)
    work.close()
    raise KitError(f"{name}() can't be called from a coroutine: use await {name}_async(...)")
