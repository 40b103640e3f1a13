"""What a change of the manifest would do, told for people and programs. `obelisk-ctl manifest plan` shows it."""

from collections.abc import Iterable, Mapping, Sequence
from typing import Literal, TypeAlias

import msgspec

from obelisk_config import ComponentSpec, Diagnostic, render
from obelisk_config.difference import ComponentChange, SettingChange
from obelisk_daemon.deployment.checking import Candidate, Refusal, Stage
from obelisk_daemon.deployment.deployer import Deployer
from obelisk_daemon.deployment.planning import plan_generation
from obelisk_daemon.deployment.proposal import Examined, Wish
from obelisk_daemon.deployment.replay_gate import Forecast, ReplayGate
from obelisk_daemon.execution.wit_types import FunctionType, same_shape
from obelisk_daemon.storage.generations import OnUpgrade

Interface: TypeAlias = Literal["same", "compatible", "breaking"]


class DiagnosticReport(msgspec.Struct, frozen=True):
    """One thing that is wrong, or in doubt, and where."""

    severity: str
    code: str
    message: str
    file: str
    line: int
    column: int
    hint: str


class InterfaceReport(msgspec.Struct, frozen=True):
    """How the exported functions of a component change: full names. Only additions are `compatible`."""

    verdict: Interface
    added: list[str]
    removed: list[str]
    retyped: list[str]


class ComponentReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What becomes of a component. `unfinished` counts its executions that are under way or wait.

    `on_upgrade` says what changed code does with those of a workflow, and `replay` how that would go.
    """

    name: str
    kind: str
    change: str
    unfinished: int
    digest_before: str | None = None
    digest_after: str | None = None
    interface: InterfaceReport | None = None
    settings: list[SettingChange] = []
    on_upgrade: OnUpgrade | None = None
    replay: Forecast | None = None


class PlanReport(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What would come of a manifest: nothing, changes, or a refusal at a stage.

    `generation` is the active one. `token` names it and the file's content: a reload with it does just this or
    nothing. `text` are the diagnostics as people read them.
    """

    outcome: Literal["unchanged", "changes", "refused"]
    generation: int
    token: str
    stage: Stage | None = None
    diagnostics: list[DiagnosticReport] = []
    text: str = ""
    components: list[ComponentReport] = []
    settings: list[SettingChange] = []


class Planner:
    """Makes plans; changes nothing."""

    def __init__(self, deployer: Deployer, gate: ReplayGate) -> None:
        self._deployer = deployer
        self._gate = gate

    async def plan(self, source: bytes, wish: Wish = Wish(), name: str | None = None) -> PlanReport:  # noqa: B008
        """Tell what would come of a manifest, in a file of that name.

        Relative paths in it start where those of the active one do.
        """
        deployer = self._deployer
        number, token = deployer.active.generation.number, deployer.token(source)
        foregone = await deployer.foregone(source, wish)
        if foregone is not None:
            told = foregone.diagnostics
            return PlanReport(
                outcome="refused" if foregone.outcome == "refused" else "unchanged",
                generation=number,
                token=token,
                stage=foregone.stage,
                diagnostics=diagnostics(told),
                text=render(told) if told else foregone.message,
            )
        try:
            examined = await deployer.examine(source, name=name)
        except Refusal as refusal:
            found, text = diagnostics(refusal.diagnostics), render(refusal.diagnostics)
            return PlanReport(
                outcome="refused", generation=number, token=token, stage=refusal.stage, diagnostics=found, text=text
            )
        stage, objections = deployer.objections(examined, wish)
        told = (*examined.candidate.warnings, *objections)
        changes = examined.candidate.content_hash != deployer.active.generation.content_hash
        return PlanReport(
            outcome="refused" if objections else "changes" if changes else "unchanged",
            generation=number,
            token=token,
            stage=stage if objections else None,
            diagnostics=diagnostics(told),
            text=render(told) if told else "",
            components=await self._components(examined),
            settings=list(examined.difference.settings),
        )

    async def _components(self, examined: Examined) -> list[ComponentReport]:
        candidate, changes = examined.candidate, examined.difference.components
        specs = {spec.name: spec for spec in candidate.manifest.components}
        moving = [
            change.name
            for change in changes
            if change.kind == "workflow" and change.change == "changed" and change.digest is not None
        ]
        replayed = [name for name in moving if specs[name].on_upgrade != "pin"]
        forecasts: dict[str, Forecast] = {}
        if replayed:
            number = self._deployer.active.generation.number + 1
            plan = plan_generation(candidate, number, self._deployer.linker, examined.impact.retained)
            forecasts = await self._gate.forecast(plan, replayed)
        before = self._deployer.active.candidate
        return [
            _report(change, specs.get(change.name), (before, candidate), examined.impact.unfinished, forecasts)
            for change in changes
        ]


def diagnostics(found: Iterable[Diagnostic]) -> list[DiagnosticReport]:
    """Tell diagnostics as data."""
    return [
        DiagnosticReport(one.severity, one.code, one.message, one.span.file, one.span.line, one.span.column, one.hint)
        for one in found
    ]


def _report(
    change: ComponentChange,
    spec: ComponentSpec | None,
    both: tuple[Candidate, Candidate],
    unfinished: Mapping[str, int],
    forecasts: Mapping[str, Forecast],
) -> ComponentReport:
    before, after = change.digest or (None, None)
    is_moved = change.change == "changed" and change.digest is not None and spec is not None
    return ComponentReport(
        name=change.name,
        kind=change.kind,
        change=change.change,
        unfinished=unfinished.get(change.name, 0),
        digest_before=before,
        digest_after=after,
        interface=_interface(*(_exports(candidate, change.name) for candidate in both)) if is_moved else None,
        settings=list(change.settings),
        on_upgrade=spec.on_upgrade if is_moved and spec is not None else None,
        replay=forecasts.get(change.name),
    )


def _exports(candidate: Candidate, name: str) -> dict[str, FunctionType]:
    found = candidate.components.get(name) or candidate.stubs.get(name)
    return {} if found is None else {str(ffqn): of for ffqn, of in found.exports.items()}


def _interface(before: Mapping[str, FunctionType], after: Mapping[str, FunctionType]) -> InterfaceReport:
    added = _only(after, before)
    removed = _only(before, after)
    retyped = [name for name in before if name in after and not same_shape(before[name], after[name])]
    verdict: Interface = "breaking" if removed or retyped else "compatible" if added else "same"
    return InterfaceReport(verdict, added, removed, retyped)


def _only(one: Iterable[str], other: Mapping[str, object]) -> list[str]:
    names: Sequence[str] = [name for name in one if name not in other]
    return sorted(names)
