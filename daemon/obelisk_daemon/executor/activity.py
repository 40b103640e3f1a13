"""A run of an activity: one attempt in a store of its own, bounded in time."""

import asyncio
from datetime import timedelta
from functools import partial

from obelisk_daemon.errors import CallerError
from obelisk_daemon.execution.attempt import Overrun, Trap, conclude_activity
from obelisk_daemon.execution.outcome import Outcome
from obelisk_daemon.execution.projection import returned
from obelisk_daemon.executor.counting import count_egress
from obelisk_daemon.executor.evidence import describe, evidence_of
from obelisk_daemon.executor.logs import LogBuffer, in_pieces
from obelisk_daemon.executor.run import Run, trap_of
from obelisk_daemon.storage.records import LogLine
from obelisk_daemon.wasm.guest import Returned as GuestReturned
from obelisk_daemon.wasm.host.context import GuestContext
from obelisk_daemon.wasm.wasi.context import WasiContext
from obelisk_daemon.wasm.wasi.placeholders import Placeholders


class ActivityRun(Run):
    """One attempt of an activity."""

    async def run(self) -> None:
        """Run the guest and append how the attempt ended."""
        services, component = self.services, self.function.component
        forward = partial(services.forward, self.execution_id) if component.forward_stdio else None
        logs = LogBuffer(services.clock, component.log_bytes, forward=forward)
        placeholders = Placeholders(component.secrets, services.random)
        wasi = WasiContext(
            clock=services.wasi_clock,
            random=services.random,
            output=logs.output,
            environ={**component.env, **placeholders.environ},
            http=services.http,
            egress=component.egress,
            http_limits=component.http_limits,
            placeholders=placeholders,
        )
        try:
            ended = await self._attempt(wasi, logs)
        finally:
            count_egress(services.metrics.egress, wasi.trace)
        for request in wasi.trace:
            if request.error is not None:
                logs.line("warn", f"HTTP {describe(request)}")
        end = conclude_activity(self.concluding(evidence_of(logs, wasi.trace)), self.function.type, ended)
        await self.end(end, await self._keep_most(logs.take(flush=True)))
        if services.observe_requests is not None:
            services.observe_requests(self.execution_id, self.state.version - 1, wasi.trace)

    async def _keep_most(self, lines: tuple[LogLine, ...]) -> tuple[LogLine, ...]:
        """Write many lines ahead of the end, and give the last few: others feel a commit that has all of them."""
        *most, rest = in_pieces(lines)
        for piece in most:
            await self.services.store.keep_lines(self.execution_id, self.run_id, piece)
        return rest

    async def _attempt(self, wasi: WasiContext, logs: LogBuffer) -> Outcome | Trap | Overrun:
        function = self.function
        limit = timedelta(microseconds=self.held.locked.timeout_us)
        context = GuestContext(wasi=wasi, log=logs)
        try:
            async with asyncio.timeout(limit.total_seconds()), wasi:
                ended = await function.linked.run(
                    function.ffqn, self.held.created.params, context, function.component.limits
                )
        except TimeoutError:
            traced = "; ".join(describe(request) for request in wasi.trace[-3:])
            return Overrun(f"longer than {limit.total_seconds():g} s" + (f", last {traced}" if traced else ""))
        except CallerError as misfit:  # the parameters were stored for other code
            return Trap("uncategorized", f"the stored parameters don't fit this code: {misfit}", "")
        if isinstance(ended, GuestReturned):
            return returned(function.type, ended.value)
        return trap_of(ended)
