"""What an operator sees of a manifest, made up: one of everything."""

from obelisk_config.difference import ComponentChange, Difference, SettingChange
from obelisk_daemon.clock import Instant
from obelisk_daemon.deployment.control import FileState, HostState, ManifestState, OlderCode, VerdictReport
from obelisk_daemon.deployment.manifest_file import Drift, LastRefusal
from obelisk_daemon.deployment.proposal import Wish
from obelisk_daemon.deployment.replay_gate import Divergence, Forecast
from obelisk_daemon.deployment.reports import ComponentReport, DiagnosticReport, InterfaceReport, PlanReport
from obelisk_daemon.errors import CallerError, ConflictError, NotFoundError
from obelisk_daemon.ids import ExecutionId
from obelisk_daemon.storage.generations import Generation, GenerationRow

AT = Instant(1_767_323_045_000_000)
"""2026-01-02T03:04:05Z."""
OLD, NEW = "sha256:" + "ab" * 32, "sha256:" + "cd" * 32
TOKEN = "0123456789abcdef"
TIMEOUT = SettingChange("timeout", '"30s"', '"2s"')
LISTEN = SettingChange("daemon.listen", '["unix:/a"]', '["unix:/b"]', restart_only=True)
REFUSED_TEXT = """\
obelisk.toml:9:10: error[digest_mismatch]: the file of "http" has another digest than the manifest
  |
9 | digest = "sha256:00"
  |          ^^^^^^^^^^^

1 error"""
DIAGNOSTIC = DiagnosticReport(
    "error", "digest_mismatch", 'the file of "http" has another digest than the manifest', "obelisk.toml", 9, 10, ""
)
DIVERGENCE = Divergence(
    ExecutionId("E_01JZZZZZZZZZZZZZZZZZZZZ001"), 12, "diverges at version 12: expected a call, got a delay"
)
PLAN = PlanReport(
    outcome="changes",
    generation=3,
    token=TOKEN,
    components=[
        ComponentReport(
            name="orders",
            kind="workflow",
            change="changed",
            unfinished=200,
            digest_before=OLD,
            digest_after=NEW,
            interface=InterfaceReport("compatible", ["shop:orders/workflow.refund"], [], []),
            settings=[TIMEOUT],
            on_upgrade="replay",
            replay=Forecast(can_move=150, diverge=50, unknown=0, first_divergence=DIVERGENCE),
        ),
        ComponentReport(name="mail", kind="activity", change="added", unfinished=0, digest_after=NEW),
        ComponentReport(name="http", kind="activity", change="removed", unfinished=0, digest_before=OLD),
    ],
    settings=[SettingChange("executor.default.max_running", "200", "100")],
)


class FakeManifest:
    """Generation 3 is active; what a test wants otherwise it puts into the attributes."""

    def __init__(self) -> None:
        self.drifting: tuple[Drift, ...] = ()
        self.refusal: LastRefusal | None = None
        self.older: tuple[OlderCode, ...] = ()
        self.hosts: tuple[HostState, ...] = (HostState("local", 3),)
        self.planned = PLAN
        self.verdict = VerdictReport(outcome="active", generation=4)
        self.wishes: list[Wish] = []
        self.sources: list[bytes | None] = []

    async def state(self) -> ManifestState:
        return ManifestState(
            generation=3,
            activated_at=AT,
            cause="file",
            restored=None,
            path="/etc/obelisk/obelisk.toml",
            file=await self.file_state(),
            older_code=self.older,
            hosts=self.hosts,
        )

    async def file_state(self) -> FileState:
        return FileState(self.drifting, self.refusal)

    async def plan(self, source: bytes | None, wish: Wish, name: str | None = None) -> PlanReport:
        self.sources.append(source)
        self.wishes.append(wish)
        return self.planned

    async def reload(self, wish: Wish) -> VerdictReport:
        self.wishes.append(wish)
        if wish.token not in (None, TOKEN):
            raise ConflictError("plan_outdated", "the file or the active generation changed since that plan")
        return self.verdict

    async def roll_back(self, number: int | None, wish: Wish) -> VerdictReport:
        self.wishes.append(wish)
        if number is not None and number > 3:
            raise NotFoundError("generation_not_found", f"there is no generation {number}")
        if number == 0:
            raise CallerError("nothing_before", "there is no generation before the active one")
        return self.verdict

    async def history(self, before: int | None, limit: int) -> list[GenerationRow]:
        rows = [
            GenerationRow(3, AT, "33" * 32, "rollback", 1),
            GenerationRow(2, Instant(AT - 60_000_000), "22" * 32, "file", None),
            GenerationRow(1, Instant(AT - 3_600_000_000), "11" * 32, "start", None),
        ]
        return [row for row in rows if before is None or row.number < before][:limit]

    async def show(self, number: int | None) -> Generation:
        if number is not None and number > 3:
            raise NotFoundError("generation_not_found", f"there is no generation {number}")
        return Generation(
            number=number or 3,
            activated_at=AT,
            manifest=b'[[activity]]\nname = "http"\n',
            content_hash="33" * 32,
            allowed={},
            components={"http": OLD},
        )

    async def difference(self, before: int, after: int) -> Difference:
        if before == after:
            return Difference()
        return Difference(
            (ComponentChange("http", "activity", "changed", (OLD, NEW), (TIMEOUT,)),),
            (LISTEN,),
        )
