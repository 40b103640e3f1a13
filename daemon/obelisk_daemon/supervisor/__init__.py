"""The composition root: builds everything once, owns every task, and takes it all down in the opposite order.

`daemon` says in which order; the other modules say how each part is made or what runs beside the work.
"""

from obelisk_daemon.supervisor.daemon import run_daemon

__all__ = ["run_daemon"]
