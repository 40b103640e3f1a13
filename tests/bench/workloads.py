"""The workloads, by name. Each gives rows."""

from collections.abc import Callable, Iterator
from typing import Final

from tests.bench.calling import language, parallel, serial, three_step
from tests.bench.draining import backlog
from tests.bench.fanning import fanout
from tests.bench.fetching import http
from tests.bench.floor import floor
from tests.bench.following import follow
from tests.bench.hostile import hostile
from tests.bench.large_values import large_values
from tests.bench.listing import listing
from tests.bench.peers.on_postgresql import peers_on_postgresql
from tests.bench.peers.on_sqlite import peers
from tests.bench.reloading import reload
from tests.bench.replaying import replay
from tests.bench.retaining import retention
from tests.bench.rows import Row
from tests.bench.run import Run
from tests.bench.sleeping import hot, sleepers
from tests.bench.starting import start
from tests.bench.submitting import submit

WORKLOADS: Final[dict[str, Callable[[Run], Iterator[Row]]]] = {
    "floor": floor,
    "serial": serial,
    "parallel": parallel,
    "three-step": three_step,
    "fanout": fanout,
    "submit": submit,
    "backlog": backlog,
    "replay": replay,
    "sleepers": sleepers,
    "hot": hot,
    "python": language("fibo-python"),
    "javascript": language("fibo-js"),
    "http": http,
    "bytes": large_values,
    "start": start,
    "reload": reload,
    "peers": peers,
    "peers-postgresql": peers_on_postgresql,
    "listing": listing,
    "follow": follow,
    "retention": retention,
    "hostile": hostile,
}
BY_DEFAULT: Final = tuple(list(WORKLOADS)[: list(WORKLOADS).index("listing")])
"""What `make bench` measures; the others take long, or are about something else."""
