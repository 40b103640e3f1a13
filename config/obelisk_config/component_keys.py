"""Every key of activities and workflows, once: its rule, its default, and the sentence that describes it."""

from datetime import timedelta
from typing import Final

import msgspec

from obelisk_config import forms
from obelisk_config.model import ComponentKind
from obelisk_config.place import Place
from obelisk_config.rules import Boolean, Choice, Duration, Key, Listing, Number, Size
from obelisk_config.tables import MapOf, TableOf

_MS: Final = timedelta(milliseconds=1)
_DAY: Final = timedelta(days=1)
_MIB: Final = 1 << 20
_RETRIES_RUN_THE_LATEST: Final = "an activity keeps nothing between attempts, so a retry runs the code there is"
LATER: Final = "it comes in a later version; leave it out"
_AN_ACTIVITY: Final = "only an activity has it"
_A_WORKFLOW: Final = "only a workflow has it"


class Only(msgspec.Struct, frozen=True):
    """The one value a key may have here, and why."""

    value: object
    message: str
    hint: str

    def parse(self, value: object, place: Place) -> object:
        """Check it."""
        if value == self.value and type(value) is type(self.value):
            return tuple(value) if isinstance(value, list) else value
        return place.error("not_supported", f"{place.name}: {self.message}", self.hint)


BACKOFF: Final = TableOf(
    "backoff",
    (
        Key("initial", Duration(_MS, _DAY), "The wait before the first retry.", "100ms"),
        Key("factor", Number(1, 100, fractions=True), "What each further wait is multiplied by.", 2.0),
        Key("max", Duration(_MS, 30 * _DAY), "The longest wait.", "1m"),
        Key("jitter", Number(0, 1, fractions=True), "The part of the wait that is added at random, at most.", 0.1),
    ),
)


def _function_keys(timeout: Key, retry_on: Key, *more: Key) -> tuple[Key, ...]:
    return (
        timeout,
        Key("max_retries", Number(0, 1_000_000), "How often a failed run is tried again.", 5),
        Key(
            "backoff",
            BACKOFF,
            "The wait before a retry; keys left out keep their value.",
            BACKOFF.authored_defaults(),
        ),
        retry_on,
        Key("labels", forms.LABELS, "What an executor must offer to run it; replaces what was set before.", []),
        *more,
    )


def _limits(name: str, *more: Key) -> TableOf:
    keys = (
        Key("memory", Size(_MIB, 4096 * _MIB), "The most memory a run may hold.", "256MiB"),
        Key("host_calls", Number(1, 10**9), "How many calls a run may make of the host.", 100_000),
        Key(
            "value",
            Size(1024, 64 * _MIB),
            "The size of the largest value that crosses between it and the host.",
            "4MiB",
        ),
        Key(
            "logs",
            Size(0, 64 * _MIB),
            "The size of all that a run may log, with 256 bytes for each line; the rest is cut off.",
            "1MiB",
        ),
        *more,
    )
    other = {"fuel": _A_WORKFLOW, "http_requests": _AN_ACTIVITY, "http_bytes": _AN_ACTIVITY}
    own = {key.name for key in keys}
    return TableOf(name, keys, {key: hint for key, hint in other.items() if key not in own})


ACTIVITY_LIMITS: Final = _limits(
    "limits",
    Key("http_requests", Number(0, 10**6), "How many HTTP requests an attempt may send.", 1000),
    Key("http_bytes", Size(0, 4096 * _MIB), "The size of the body of one HTTP request, and of one response.", "64MiB"),
)
WORKFLOW_LIMITS: Final = _limits(
    "limits",
    Key(
        "fuel",
        Number(10**6, 10**15),
        "How much a workflow may compute, about one unit an instruction.",
        50_000_000_000,
    ),
)
_LIMITS_DOC: Final = "What one run may use; keys left out keep their value."
_STDIO: Final = Key("forward_stdio", Boolean(), "Also write the guest's output to the daemon's.", default=False)
WHEN_FULL: Final = Key(
    "when_full",
    Choice(("reject", "evict-oldest")),
    'What happens beyond max_pending: "reject" refuses the new one, "evict-oldest" ends the oldest that waits.',
    "reject",
)
_ADMISSION: Final = (
    Key("priority", Number(0, 9), "Which executions start first: those with 9 before those with 0.", 5),
    Key(
        "max_running",
        Number(1, 100_000),
        "How many of its runs there may be at once, on all hosts together; any number, if left out.",
        example=20,
    ),
    Key(
        "max_pending",
        Number(1, 100_000_000),
        "How many of its executions may wait for their first run; if left out, only that of [limits] holds.",
        example=10_000,
    ),
    WHEN_FULL,
)
_COMPONENT_LATER: Final = dict.fromkeys(("queue_timeout", "deadline"), LATER)
_WORKFLOW_ONLY: Final = ("on_block", "max_hot", "on_nondeterminism", "on_trap", "max_history_events")
_NOT_OF_ACTIVITIES: Final = dict.fromkeys(_WORKFLOW_ONLY, _A_WORKFLOW) | {
    "cancellable": "only a workflow has it; an activity can always be cancelled"
}


def _not_of_functions(kind: ComponentKind, *more: str) -> dict[str, str]:
    names = (*(key.name for key in _ADMISSION), *more)
    return dict.fromkeys(names, f"it holds for all functions of the component: write it into [[{kind}]]")


_ACTIVITY_FUNCTION: Final = _function_keys(
    Key("timeout", Duration(_MS, 30 * _DAY), "How long one attempt may take.", "30s"),
    Key(
        "retry_on",
        Listing(Choice(("error", "trap", "timeout"))),
        "What is tried again: an err result, a trap, a timeout.",
        ["error", "trap", "timeout"],
    ),
)
_WORKFLOW_FUNCTION: Final = _function_keys(
    Key(
        "timeout", Duration(_MS, _DAY), "How long it may compute between two host calls; waiting does not count.", "5s"
    ),
    Key(
        "retry_on",
        Listing(Choice(("timeout",), why="after an error or a trap a workflow would only do the same again")),
        "What is tried again: only a timeout, since on anything else it would do the same again.",
        ["timeout"],
    ),
    Key(
        "cancellable",
        Boolean(),
        "Whether it may be cancelled without force, as it always may where its name ends in -cancellable.",
        default=False,
    ),
)
FUNCTION: Final[dict[ComponentKind, TableOf]] = {
    "activity": TableOf(
        "a function of an activity",
        _ACTIVITY_FUNCTION,
        _COMPONENT_LATER | _NOT_OF_ACTIVITIES | _not_of_functions("activity"),
    ),
    "workflow": TableOf(
        "a function of a workflow",
        _WORKFLOW_FUNCTION,
        _COMPONENT_LATER | _not_of_functions("workflow", *_WORKFLOW_ONLY),
    ),
}

_ACTIVITY_SETTINGS: Final = (
    *_ACTIVITY_FUNCTION,
    Key(
        "allowed_hosts",
        Listing(forms.HostEntry(), most=1000),
        "Where it may send HTTP requests to: scheme://host[:port], or a table that says more.",
        [],
        example=[{key.name: key.example for key in forms.HOST_TABLE.keys}],
    ),
    Key("allow_private", Boolean(), "Whether allowed hosts may have loopback and private addresses.", default=False),
    Key(
        "limits",
        ACTIVITY_LIMITS,
        _LIMITS_DOC,
        ACTIVITY_LIMITS.authored_defaults(),
    ),
    _STDIO,
    *_ADMISSION,
    Key(
        "on_upgrade",
        Choice(("latest",), why=_RETRIES_RUN_THE_LATEST),
        'Which code a retry runs after an upgrade: always the "latest".',
        "latest",
    ),
)
_WORKFLOW_SETTINGS: Final = (
    *_WORKFLOW_FUNCTION,
    Key(
        "allowed_hosts",
        Only([], "a workflow has no network", "make the request in an activity that the workflow calls"),
        "A workflow has no network: nothing else is possible.",
        [],
    ),
    Key(
        "allow_private",
        Only(value=False, message="a workflow has no network", hint="leave it out"),
        "A workflow has no network: nothing else is possible.",
        default=False,
    ),
    Key(
        "limits",
        WORKFLOW_LIMITS,
        _LIMITS_DOC,
        WORKFLOW_LIMITS.authored_defaults(),
    ),
    _STDIO,
    *_ADMISSION,
    Key(
        "on_upgrade",
        Choice(("replay", "pin", "force")),
        'Which executions an upgrade moves: "replay" those whose log the new code can replay, "pin" none, "force" all.',
        "replay",
    ),
    Key(
        "on_block",
        Choice(("hot", "unload")),
        'What a blocked workflow does: stay in memory ("hot"), or leave it and be replayed later ("unload").',
        "hot",
    ),
    Key(
        "max_hot",
        Number(0, 1_000_000),
        "How many blocked ones stay in memory; beyond, the longest idle one leaves.",
        1000,
    ),
    Key(
        "on_nondeterminism",
        Choice(("pause", "fail")),
        'What happens when a replay differs from the log: "pause" until its code is put right, or "fail".',
        "pause",
    ),
    Key(
        "on_trap",
        Choice(("fail", "pause")),
        'What a trap does: "fail" ends it, "pause" keeps it and its children until its code is put right.',
        "fail",
    ),
    Key(
        "max_history_events",
        Number(100, 10_000_000),
        "How many things it may ask of the host; at half of it there is a warning, beyond it fails.",
        50_000,
    ),
)
SETTINGS: Final[dict[ComponentKind, TableOf]] = {
    "activity": TableOf("[defaults.activity]", _ACTIVITY_SETTINGS, _COMPONENT_LATER | _NOT_OF_ACTIVITIES),
    "workflow": TableOf("[defaults.workflow]", _WORKFLOW_SETTINGS, _COMPONENT_LATER),
}


def _own_keys(kind: ComponentKind) -> tuple[Key, ...]:
    functions = MapOf(forms.FFQN, FUNCTION[kind])
    return (
        forms.COMPONENT_NAME,
        forms.COMPONENT_PATH,
        forms.COMPONENT_DIGEST,
        Key("env", MapOf(forms.VARIABLE, forms.VARIABLE_VALUE), "Its environment variables, and no others.", {}),
        Key("functions", functions, "Settings of single functions, by full name; here timeout, for example.", {}),
    )


COMPONENT: Final[dict[ComponentKind, TableOf]] = {
    kind: TableOf(f"[[{kind}]]", (*_own_keys(kind), *table.keys), table.elsewhere) for kind, table in SETTINGS.items()
}
