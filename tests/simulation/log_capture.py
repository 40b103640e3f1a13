"""What the daemons log: part of the trace, and a finding where it tells of an error that nobody expects."""

import logging
from collections.abc import Callable, Iterator, MutableMapping
from contextlib import contextmanager
from typing import Any, NoReturn

import structlog

from obelisk_daemon.errors import ObeliskError
from tests.simulation.process import PROCESS
from tests.simulation.trace import Trace

_FINE = ("execution_id", "code", "reason", "generation", "outcome", "executor_id", "becomes", "lost_runs")


class _Findings(logging.Handler):
    def __init__(self, found: Callable[[str], None]) -> None:
        super().__init__(logging.ERROR)
        self._found = found

    def emit(self, record: logging.LogRecord) -> None:
        self._found(f"log: {record.getMessage()} {record.exc_info}")


@contextmanager
def captured_logs(trace: Trace, found: Callable[[str], None]) -> Iterator[None]:
    """Take all that is logged while the context lasts; `found` gets what must not happen."""

    def take(_logger: object, _method: str, event: MutableMapping[str, Any]) -> NoReturn:
        process = PROCESS.get()
        who = "world" if process is None else process.name
        details = " ".join(f"{name}={event[name]}" for name in _FINE if name in event)
        trace.note(who, f"log {event['event']} {details}")
        error = event.get("exc_info")
        if error and not isinstance(error, ObeliskError):
            found(f"{who} logged {event['event']} {details}: {_told(error)}")
        raise structlog.DropEvent

    before = structlog.get_config()
    structlog.configure(processors=[take], cache_logger_on_first_use=False)
    handler, logger = _Findings(found), logging.getLogger("obelisk_daemon")
    logger.addHandler(handler)
    try:
        yield
    finally:
        logger.removeHandler(handler)
        structlog.configure(**before)


def _told(error: object) -> str:
    import sys
    import traceback

    raised = sys.exc_info()[1] if error is True else error
    return "".join(traceback.format_exception(raised)) if isinstance(raised, BaseException) else repr(error)
