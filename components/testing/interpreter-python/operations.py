"""The operations that ask the host for something, by name. README.md describes them.

What makes a join set or an execution takes the next index before it asks, so that an operation that fails takes one as
well: a program's indices are known before it runs.
"""

import os
import random
import time
from collections.abc import Callable
from typing import Any, NamedTuple

from state import State
from values import function, result, schedule_at, text
from wit_world.imports import log
from wit_world.imports import testing_approval_approval as approval
from wit_world.imports import testing_approval_obelisk_ext_approval as approval_ext
from wit_world.imports import testing_approval_obelisk_stub_approval as approval_stub
from wit_world.imports import testing_fibo_fibo as fibo
from wit_world.imports import testing_fibo_obelisk_ext_fibo as fibo_ext
from wit_world.imports import testing_fibo_obelisk_schedule_fibo as fibo_schedule
from wit_world.imports import workflow_support as host

Arguments = dict[str, Any]
Carry = Callable[[State, Arguments], Any]


class Operation(NamedTuple):
    """How an operation is carried out. `returns_result` says that its function returns a `result` in WIT."""

    carry_out: Carry
    returns_result: bool


OPERATIONS: dict[str, Operation] = {}


def operation(name: str, *, returns_result: bool = False) -> Callable[[Carry], Carry]:
    def register(carry_out: Carry) -> Carry:
        OPERATIONS[name] = Operation(carry_out, returns_result)
        return carry_out

    return register


# Join sets


@operation("join-set-create")
def join_set_create(state: State, _: Arguments) -> int:
    state.join_sets.append(host.join_set_create())
    return len(state.join_sets) - 1


@operation("join-set-create-named", returns_result=True)
def join_set_create_named(state: State, asked: Arguments) -> int:
    state.join_sets.append(None)
    state.join_sets[-1] = host.join_set_create_named(asked["name"])
    return len(state.join_sets) - 1


@operation("join-set-close")
def join_set_close(state: State, asked: Arguments) -> None:
    host.join_set_close(state.give_up(asked))


@operation("join-set-drop")
def join_set_drop(state: State, asked: Arguments) -> None:
    state.give_up(asked).__exit__(None, None, None)


@operation("join-set-id")
def join_set_id(state: State, asked: Arguments) -> str:
    return state.join_set(asked).id()


@operation("join-set-last-id")
def join_set_last_id(state: State, asked: Arguments) -> Any:
    return state.join_set(asked).last_id()


@operation("submit-json", returns_result=True)
def submit_json(state: State, asked: Arguments) -> Any:
    state.executions.append(None)
    join_set = state.join_set(asked)
    state.executions[-1] = host.submit_json(join_set, function(asked["function"]), text(asked["params"]))
    return state.executions[-1]


@operation("submit-delay")
def submit_delay(state: State, asked: Arguments) -> Any:
    return host.submit_delay(state.join_set(asked), schedule_at(asked["when"]))


@operation("join-next", returns_result=True)
def join_next(state: State, asked: Arguments) -> Any:
    return host.join_next(state.join_set(asked))


@operation("join-next-try", returns_result=True)
def join_next_try(state: State, asked: Arguments) -> Any:
    return host.join_next_try(state.join_set(asked))


@operation("get-result-json", returns_result=True)
def get_result_json(state: State, asked: Arguments) -> Any:
    return host.get_result_json(state.execution(asked))


@operation("get-execution-failure-kind", returns_result=True)
def get_execution_failure_kind(state: State, asked: Arguments) -> Any:
    return host.get_execution_failure_kind(state.execution(asked))


# One at a time


@operation("sleep", returns_result=True)
def sleep(_: State, asked: Arguments) -> Any:
    return host.sleep(schedule_at(asked["when"]), asked.get("name"))


@operation("call-json", returns_result=True)
def call_json(_: State, asked: Arguments) -> Any:
    return host.call_json(function(asked["function"]), text(asked["params"]))


@operation("last-direct-call-id")
def last_direct_call_id(_state: State, _: Arguments) -> Any:
    return host.last_direct_call_id()


@operation("last-oneoff-id")
def last_oneoff_id(_state: State, _: Arguments) -> Any:
    return host.last_oneoff_id()


# Executions of others


@operation("execution-id-current")
def execution_id_current(_state: State, _: Arguments) -> Any:
    return host.execution_id_current()


@operation("execution-id-generate")
def execution_id_generate(state: State, _: Arguments) -> Any:
    state.executions.append(None)
    state.executions[-1] = host.execution_id_generate()
    return state.executions[-1]


@operation("schedule-json", returns_result=True)
def schedule_json(state: State, asked: Arguments) -> None:
    execution_id, when = state.execution(asked), schedule_at(asked["when"])
    host.schedule_json(execution_id, when, function(asked["function"]), text(asked["params"]))


@operation("stub-json", returns_result=True)
def stub_json(state: State, asked: Arguments) -> None:
    host.stub_json(state.execution(asked), text(asked["result"]))


# Randomness, time, the log


@operation("random-u64")
def random_u64(_: State, asked: Arguments) -> int:
    return host.random_u64(asked["min"], asked["max"])


@operation("random-u64-inclusive")
def random_u64_inclusive(_: State, asked: Arguments) -> int:
    return host.random_u64_inclusive(asked["min"], asked["max"])


@operation("random-string")
def random_string(_: State, asked: Arguments) -> str:
    return host.random_string(asked["min"], asked["max"])


@operation("wasi-random")
def wasi_random(_: State, asked: Arguments) -> str:
    return os.urandom(asked["bytes"]).hex()


@operation("language-random")
def language_random(_state: State, _: Arguments) -> float:
    return random.uniform(0, 1)


@operation("clock")
def clock(_state: State, _: Arguments) -> int:
    return time.time_ns() // 1_000_000


@operation("monotonic-clock")
def monotonic_clock(_state: State, _: Arguments) -> int:
    return time.monotonic_ns()


@operation("wasi-sleep")
def wasi_sleep(_: State, asked: Arguments) -> None:
    time.sleep(asked["milliseconds"] / 1_000)


@operation("log")
def write_log(_: State, asked: Arguments) -> None:
    levels = {"trace": log.trace, "debug": log.debug, "info": log.info, "warn": log.warn, "error": log.error}
    levels[asked["level"]](asked["message"])


# Functions of other components, in their own types


@operation("fibo", returns_result=True)
def call_fibo(_: State, asked: Arguments) -> int:
    return fibo.fibo(asked["n"])


@operation("fibo-submit")
def fibo_submit(state: State, asked: Arguments) -> Any:
    state.executions.append(None)
    state.executions[-1] = fibo_ext.fibo_submit(state.join_set(asked), asked["n"])
    return state.executions[-1]


@operation("fibo-await-next", returns_result=True)
def fibo_await_next(state: State, asked: Arguments) -> Any:
    return fibo_ext.fibo_await_next(state.join_set(asked))


@operation("fibo-get", returns_result=True)
def fibo_get(state: State, asked: Arguments) -> Any:
    return fibo_ext.fibo_get(state.execution(asked))


@operation("fibo-schedule")
def schedule_fibo(state: State, asked: Arguments) -> Any:
    state.executions.append(None)
    state.executions[-1] = fibo_schedule.fibo_schedule(schedule_at(asked["when"]), asked["n"])
    return state.executions[-1]


@operation("approve", returns_result=True)
def call_approve(_: State, asked: Arguments) -> bool:
    return approval.approve(asked["order"])


@operation("approve-submit")
def approve_submit(state: State, asked: Arguments) -> Any:
    state.executions.append(None)
    state.executions[-1] = approval_ext.approve_submit(state.join_set(asked), asked["order"])
    return state.executions[-1]


@operation("approve-await-next", returns_result=True)
def approve_await_next(state: State, asked: Arguments) -> Any:
    return approval_ext.approve_await_next(state.join_set(asked))


@operation("approve-get", returns_result=True)
def approve_get(state: State, asked: Arguments) -> Any:
    return approval_ext.approve_get(state.execution(asked))


@operation("approve-stub", returns_result=True)
def approve_stub(state: State, asked: Arguments) -> None:
    approval_stub.approve_stub(state.execution(asked), result(asked["result"]))
