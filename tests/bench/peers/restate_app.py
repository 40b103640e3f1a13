"""The workloads, written for Restate: an ASGI application, served in the environment of Restate's SDK.

A step is either a call of another handler, which Restate queues, starts and may retry as our engine does an activity,
or a function that runs in the handler's own process, with its result recorded.
"""

import restate

bench = restate.Service("bench")


def fibonacci(n: int) -> int:
    a, b = 0, 1
    for _ in range(n):
        a, b = b, a + b
    return a


@bench.handler()
async def called(ctx: restate.Context, n: int) -> int:
    return fibonacci(n)


@bench.handler()
async def calls(ctx: restate.Context, times: int) -> int:
    result = 0
    for _ in range(times):
        result = await ctx.service_call(called, arg=10)
    return result


@bench.handler()
async def steps(ctx: restate.Context, times: int) -> int:
    result = 0
    for _ in range(times):
        result = await ctx.run_typed("step", fibonacci, n=10)
    return result


app = restate.app(services=[bench])
