"""A workflow: the Fibonacci activity, called again and again."""

from wit_world import exports
from wit_world.imports import fibo


class Workflow(exports.Workflow):
    """The exported interface `testing:fibo/workflow`. componentize-py finds it by its name."""

    def fiboa(self, n: int, iterations: int) -> int:
        last = 0
        for _ in range(iterations):
            # Looks like a call, and is a durable step: the host records it, runs the activity with its retries, and
            # after a restart gives the recorded answer. An activity's `err` is raised here, and becomes our own.
            last = fibo.fibo(n)
        return last
