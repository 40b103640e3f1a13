"""Hosts that share a database: each with a directory, a manifest and a deployer of its own, in one process."""

import hashlib
from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path

from obelisk_config import Surroundings
from obelisk_daemon.clock import after
from obelisk_daemon.deployment.control import ManifestControl
from obelisk_daemon.deployment.deployer import Deployer
from obelisk_daemon.deployment.following import Following
from obelisk_daemon.deployment.manifest_file import ManifestFile
from obelisk_daemon.deployment.proposal import Wish
from obelisk_daemon.deployment.replay_gate import ReplayGate
from obelisk_daemon.deployment.reports import Planner
from obelisk_daemon.deployment.stored import Surrounds
from obelisk_daemon.metrics import Metrics
from obelisk_daemon.offline import Options, begin
from obelisk_daemon.storage.hosts import NewHost
from obelisk_daemon.storage.sql.store import SqlStore
from obelisk_daemon.supervisor.first_generation import first_generation
from obelisk_daemon.wasm.compile import Compiler
from tests import guests
from tests.fakes.clock import ManualClock
from tests.integration.executor.uses import section

FIBO = "testing:fibo/fibo.fibo"


class Host:
    """One host. Its components are files beside its manifest, as far as it has them."""

    def __init__(self, name: str, store: SqlStore, directory: Path, compiler: Compiler, clock: ManualClock) -> None:
        self.name = name
        self._directory = directory / name
        self._directory.mkdir()
        self._store = store
        self._compiler = compiler
        self._clock = clock
        self.path = self._directory / "obelisk.toml"
        self.deployer: Deployer
        self.file: ManifestFile
        self.following: Following
        self.control: ManifestControl

    async def start(
        self, *tables: str, labels: Sequence[str] = (), authority: str = "file", dev: bool = False
    ) -> "Host":
        """Begin as a daemon does, with its file as it is, or with these tables in it."""
        if tables:
            self.write(*tables, labels=labels, authority=authority)
        options = Options(self.path, Surroundings(), dev)
        beginning = begin(options)
        surrounds = Surrounds(self.path, Surroundings(), beginning.host, dev, beginning.is_shared)
        store, compiler, clock = self._store, self._compiler, self._clock
        self.deployer = Deployer(store, store.reads, compiler, clock, surrounds, metrics=Metrics())
        self.file = ManifestFile(self.path, self.deployer)
        await first_generation(self.deployer, self.file, beginning)
        self.deployer.on_active = self.file.on_active
        await self.register()
        self.following = Following(self.deployer, store, clock, self.name, patience=timedelta())
        await self.following.look()
        planner = Planner(self.deployer, ReplayGate(store, clock.monotonic))
        self.control = ManifestControl(self.deployer, self.file, planner, store, self.following)
        return self

    async def register(self) -> None:
        """Take the lease of the host."""
        now = self._clock.now()
        await self._store.register_host(NewHost(self.name, "test"), now, after(now, timedelta(seconds=15)))

    def write(self, *tables: str, labels: Sequence[str] = (), authority: str = "file") -> bytes:
        """Put this into the host's manifest, under a head of its own."""
        database = 'database = "postgresql://db.example.com/obelisk"'
        daemon = f'[daemon]\nhost = "{self.name}"\n{database}\nmanifest = "{authority}"\n'
        content = f"{daemon}[executor]\nlabels = {list(labels)!r}\n{''.join(tables)}".encode()
        self.path.write_bytes(content)
        return content

    def has(self, *variants: str) -> None:
        """Put variants of the activity beside the manifest."""
        for variant in variants:
            (self._directory / f"fibo-{variant}.wasm").write_bytes(_code(variant))

    async def save(self, *tables: str, labels: Sequence[str] = ()) -> bool:
        """Save another manifest, and have the watch see it; False where it was refused."""
        return await self.file.propose(self.write(*tables, labels=labels))

    async def reload(self) -> str:
        """Reload as an operator does; give the outcome."""
        return (await self.control.reload(Wish())).outcome

    @property
    def generation(self) -> int:
        return self.deployer.active.generation.number

    @property
    def code(self) -> str:
        """The digest that the host runs the activity on."""
        return self.deployer.active.plan.functions[FIBO].component.digest

    @property
    def labels(self) -> tuple[str, ...]:
        (executor,) = self.deployer.active.executors
        return executor.labels

    async def drift(self) -> list[str]:
        return [one.subject for one in await self.file.drift()]


def fibo(variant: str = "", **settings: object) -> str:
    """Give the table of an activity, of which there are variants that do the same."""
    file: dict[str, object] = {"path": f"fibo-{variant}.wasm", "digest": digest(variant)}
    return guests.manifest_entry("fibo-activity", **(file | settings))


def digest(variant: str) -> str:
    return f"sha256:{hashlib.sha256(_code(variant)).hexdigest()}"


def _code(variant: str) -> bytes:
    return guests.path("fibo-activity").read_bytes() + section(variant)
