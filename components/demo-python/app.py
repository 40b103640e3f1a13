"""A workflow that uses most of what a workflow may: activities in two languages, the log, recorded randomness, a sleep.

Kill the daemon at any line of `run`, start it again, and it goes on from there: what had finished is not run again.
"""

from datetime import UTC, datetime

from componentize_py_types import Err
from wit_world import exports
from wit_world.imports import client, fibo, log
from wit_world.imports import workflow_support as host
from wit_world.imports.time import Duration_Seconds, ScheduleAt_In


class Workflow(exports.Workflow):
    """The exported interface `example:demo/workflow`. componentize-py finds it by its name."""

    def run(self, url: str) -> str:
        log.info(f"started as {host.execution_id_current().id}")

        # Recorded, so that a replay asks for the same Fibonacci number.
        drawn = host.random_u64(20, 30)
        numbers = [f"fibo({n}) = {fibo.fibo(n)}" for n in (10, 20, drawn)]
        log.info(", ".join(numbers))

        # Takes no memory and no thread of the daemon that could not be taken away, and survives its restart.
        until = host.sleep(ScheduleAt_In(Duration_Seconds(1)), "pause")
        woken = datetime.fromtimestamp(until.seconds, UTC)
        log.info(f"slept until {woken:%H:%M:%S} UTC")

        try:
            response = client.get(url)
        except Err as error:
            # Only after its retries, as the manifest has them.
            log.error(f"{url} failed: {error.value}")
            raise Err(f"{url} failed: {error.value}") from error
        log.info(f"{url} answered {response.status}")
        return (
            f"computed {numbers[0]}, {numbers[1]} and by chance {numbers[2]}, slept for a second, "
            f"and got {response.status} with {len(response.body)} characters from {url}"
        )
