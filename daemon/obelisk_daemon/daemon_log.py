"""The daemon's own log: for people on a terminal, as JSON lines elsewhere; on standard error."""

import logging
import sys
from typing import Final, Protocol

import structlog

_LEVELS: Final = {"debug": 10, "info": 20, "warning": 30, "error": 40}


class LogSettings(Protocol):
    """The `[daemon] log` table."""

    @property
    def format(self) -> str:
        """Give `auto`, `console` or `json`."""
        ...

    @property
    def level(self) -> str:
        """Give the lowest level that is written."""
        ...


def configure(settings: LogSettings) -> None:
    """Set the format and the level, also for libraries that use `logging`."""
    for_people = settings.format == "console" or (settings.format == "auto" and sys.stderr.isatty())
    renderer = structlog.dev.ConsoleRenderer() if for_people else structlog.processors.JSONRenderer()
    shared: list[structlog.typing.Processor] = [
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
    ]
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            *shared,
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    formatter = structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=shared,
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            structlog.processors.format_exc_info,
            renderer,
        ],
    )
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(formatter)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(_LEVELS[settings.level])
    logging.getLogger("watchfiles").setLevel(logging.WARNING)  # it tells of every change, and so do we
