"""Traces of executions for OpenTelemetry: an extra that costs nothing where it is not asked for, not even an import."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from obelisk_daemon.errors import OperatorError

if TYPE_CHECKING:
    from obelisk_daemon.telemetry.otlp import Tracing


@asynccontextmanager
async def tracing() -> "AsyncIterator[Tracing]":
    """Trace for as long as the context lasts.

    Raises:
        OperatorError: `telemetry_missing`: the extra is not installed; `unusable_telemetry`.
    """
    try:
        from obelisk_daemon.telemetry import otlp
    except ModuleNotFoundError as error:
        message = (
            f"[daemon] traces = true needs OpenTelemetry, which is not installed ({error}): "
            "pip install 'obeliskd[otel]', or take traces out"
        )
        raise OperatorError("telemetry_missing", message) from error
    async with otlp.tracing() as made:
        yield made
