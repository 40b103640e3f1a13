"""A host without an engine behind it: every function of the workflow interfaces, answered from memory and recorded.

A `fibo` child has answered as soon as it is submitted, an `approve` once it is given its result, a delay at once.
"""

import json
import random

from obelisk_daemon.wasm import wasi
from obelisk_daemon.wasm.wasi.context import WasiContext

FIBO = {"interface_name": "testing:fibo/fibo", "function_name": "fibo"}
APPROVE = {"interface_name": "testing:approval/approval", "function_name": "approve"}
NOW = 1_700_000_000_000_000_000


def fibonacci(n):
    if n > 93:
        return {"err": "too large"}
    before, number = 0, 1
    for _ in range(n):
        before, number = number, before + number
    return {"ok": before}


class Clock:
    def wall_ns(self):
        return NOW

    def monotonic_ns(self):
        return 5_000


class JoinSet:
    def __init__(self, guest, name):
        self.guest, self.host, self.name = guest, guest.context, name
        self.members, self.taken = [], []
        self.given_up = False
        """Whether the guest closed or dropped it, rather than the host did at the guest's end."""

    def drop(self):
        self.given_up = not self.guest.finished

    def add(self, kind):
        member = f"{kind}.{self.name}_{len(self.members) + 1}"
        self.members.append(member)
        return member

    def next(self):
        """Give the next member, in the order of submission, if it has answered; None otherwise."""
        taken = len(self.taken)
        if taken == len(self.members) or self.members[taken] not in self.host.answers:
            return None
        self.taken.append(self.members[taken])
        return self.taken[-1]


class FakeHost:
    """`called` is what was asked, as `interface.function`; `arguments` those of the last call of each."""

    def __init__(self):
        self.called = []
        self.arguments = {}
        self.answers = {}
        """Members that have answered, to (their function, their result)."""
        self.join_sets = []
        self.logged = []
        self.printed = b""
        self.wasi = WasiContext(
            clock=Clock(),
            random=random.Random(1).randbytes,
            output=self._print,
            time_stands_still=True,
        )

    def _print(self, _stream, data):
        self.printed += data

    @staticmethod
    def resolve(interface, function, _type):
        found = wasi.resolve(interface, function)
        if found is not None or interface.startswith("wasi:"):
            return found
        package = interface.partition("@")[0]
        name = f"{package.replace('workflow-support-backtrace', 'workflow-support')}.{function}"
        handler = HANDLERS[name]

        def call(guest, *arguments):
            host = guest.context
            host.called.append(f"{package}.{function}")
            host.arguments[f"{package}.{function}"] = arguments
            if package.endswith("-backtrace"):
                arguments = arguments[:-1]
            return handler(guest, *arguments)

        return call

    def create(self, guest, name):
        self.join_sets.append(JoinSet(guest, name))
        return guest.table.new(self.join_sets[-1])

    def submit(self, join_set, function, params):
        member = join_set.add("E_1")
        if function == FIBO:
            self.answers[member] = (function, fibonacci(*params))
        return {"id": member}


def create(guest):
    return guest.context.create(guest, f"g:{len(guest.context.join_sets) + 1}")


def create_named(guest, name):
    if any(each.name == f"n:{name}" for each in guest.context.join_sets):
        return {"err": "conflict"}
    if not name:
        return {"err": {"invalid_name": "it is empty"}}
    return {"ok": guest.context.create(guest, f"n:{name}")}


def close(guest, join_set):
    guest.table.take(join_set).given_up = True


def last_id(guest, join_set):
    taken = guest.table.get(join_set).taken
    if not taken:
        return None
    kind = "delay_id" if taken[-1].startswith("Delay") else "execution_id"
    return {kind: {"id": taken[-1]}}


def checked(function, params):
    """Give the error of a call by JSON, or None."""
    if "/" not in function["interface_name"]:
        return {"ffqn_parsing_error": "no interface"}
    if function not in (FIBO, APPROVE):
        return "function_not_found"
    if not isinstance(params, list) or len(params) != 1:
        return {"type_check_error": "one parameter expected"}
    return None


def parsed(text):
    try:
        return json.loads(text)
    except ValueError:
        return None


def submit_json(guest, join_set, function, params):
    error = checked(function, parsed(params))
    if error is not None:
        return {"err": error}
    return {"ok": guest.context.submit(guest.table.get(join_set), function, parsed(params))}


def submit_delay(guest, join_set, _timeout):
    delay = guest.table.get(join_set).add("Delay_1")
    guest.context.answers[delay] = (None, {"ok": None})
    return {"id": delay}


def as_json(value):
    """Turn a result into result<option<string>, option<string>>."""
    ((side, inner),) = value.items()
    return {side: None if inner is None else json.dumps(inner)}


def join_next_try(guest, join_set):
    joined = guest.table.get(join_set)
    if len(joined.taken) == len(joined.members):
        return {"err": "all_processed"}
    member = joined.next()
    return {"err": "pending"} if member is None else {"ok": as_json(guest.context.answers[member][1])}


def join_next(guest, join_set):
    answer = join_next_try(guest, join_set)
    assert answer != {"err": "pending"}, "it would wait for ever"
    return answer


def await_next(wanted):
    def call(guest, join_set):
        joined = guest.table.get(join_set)
        member = joined.next()
        if member is None:
            return {"err": "all_processed"}
        function, value = guest.context.answers[member]
        if function == wanted:
            return {"ok": value}
        kind = "delay_id" if function is None else "execution_id"
        mismatch = {"specified_function": wanted, "actual_function": function, "actual_id": {kind: {"id": member}}}
        return {"err": {"function_mismatch": mismatch}}

    return call


def processed(guest, execution):
    return execution["id"] in {member for each in guest.context.join_sets for member in each.taken}


def get(guest, execution):
    if not processed(guest, execution):
        return {"err": "not_found_in_processed_responses"}
    return {"ok": guest.context.answers[execution["id"]][1]}


def get_result_json(guest, execution):
    if not execution["id"].startswith("E_"):
        return {"err": {"execution_id_parsing_error": execution["id"]}}
    found = get(guest, execution)
    return found if "err" in found else {"ok": as_json(found["ok"])}


def get_failure_kind(guest, execution):
    found = get_result_json(guest, execution)
    if "err" in found:
        return found
    return {"ok": "timed_out" if "err" in found["ok"] else None}


def call_json(_guest, function, params):
    error = checked(function, parsed(params))
    return {"err": error} if error is not None else {"ok": as_json(fibonacci(*parsed(params)))}


def schedule_json(_guest, _execution, _when, function, params):
    error = checked(function, parsed(params))
    return {"ok": None} if error is None else {"err": error}


def stub(guest, execution, result):
    execution_id = execution["id"]
    if not any(execution_id in each.members for each in guest.context.join_sets):
        return {"err": "execution_not_found"}
    if guest.context.answers.setdefault(execution_id, (APPROVE, result))[1] != result:
        return {"err": "conflict"}
    return {"ok": None}


def stub_json(guest, execution, text):
    result = parsed(text)
    if result is None:
        return {"err": {"type_check_error": "no JSON"}}
    return stub(guest, execution, result)


def submit_typed(function):
    return lambda guest, join_set, param: guest.context.submit(guest.table.get(join_set), function, [param])


def logging(level):
    return lambda guest, message: guest.context.logged.append((level, message))


SUPPORT = {
    "execution-id-current": lambda _: {"id": "E_1"},
    "random-u64": lambda _, low, high: high - 1,
    "random-u64-inclusive": lambda _, low, high: high,
    "random-string": lambda _, shortest, longest: "x" * shortest,
    "sleep": lambda _, when, name: {"ok": {"seconds": 17, "nanoseconds": 5}} if when != "now" else {"err": None},
    "join-set-create": create,
    "join-set-create-named": create_named,
    "join-set-close": close,
    "submit-json": submit_json,
    "submit-delay": submit_delay,
    "join-next": join_next,
    "join-next-try": join_next_try,
    "get-result-json": get_result_json,
    "get-execution-failure-kind": get_failure_kind,
    "last-direct-call-id": lambda _: {"id": "E_1.o:1_1"},
    "last-oneoff-id": lambda _: {"delay_id": {"id": "Delay_1.o:1_1"}},
    "execution-id-generate": lambda _: {"id": "E_2"},
    "schedule-json": schedule_json,
    "call-json": call_json,
    "stub-json": stub_json,
}
HANDLERS = {
    **{f"obelisk:workflow/workflow-support.{name}": handler for name, handler in SUPPORT.items()},
    **{f"obelisk:log/log.{level}": logging(level) for level in ("trace", "debug", "info", "warn", "error")},
    "obelisk:types/join-set.[method]join-set.id": lambda guest, join_set: guest.table.get(join_set).name,
    "obelisk:types/join-set.[method]join-set.last-id": last_id,
    "testing:fibo/fibo.fibo": lambda _, n: fibonacci(n),
    "testing:fibo-obelisk-ext/fibo.fibo-submit": submit_typed(FIBO),
    "testing:fibo-obelisk-ext/fibo.fibo-await-next": await_next(FIBO),
    "testing:fibo-obelisk-ext/fibo.fibo-get": get,
    "testing:fibo-obelisk-schedule/fibo.fibo-schedule": lambda _, when, n: {"id": "E_3"},
    "testing:approval/approval.approve": lambda _, order: {"ok": order == 1},
    "testing:approval-obelisk-ext/approval.approve-submit": submit_typed(APPROVE),
    "testing:approval-obelisk-ext/approval.approve-await-next": await_next(APPROVE),
    "testing:approval-obelisk-ext/approval.approve-get": get,
    "testing:approval-obelisk-stub/approval.approve-stub": stub,
}
