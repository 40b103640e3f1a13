"""Every key of the manifest, once: its rule, its default, and the sentence that describes it.

`obelisk.toml.example` is made from these tables (`example`), and so will be the JSON schema.
"""

from datetime import timedelta
from typing import Final

import msgspec

from obelisk_config import forms
from obelisk_config.model import ComponentKind
from obelisk_config.place import Place
from obelisk_config.rules import Boolean, Choice, Duration, Key, Listing, Number, Size
from obelisk_config.secrets import SECRETS
from obelisk_config.stubs import STUB
from obelisk_config.tables import MapOf, TableOf, TablesOf

_MS: Final = timedelta(milliseconds=1)
_DAY: Final = timedelta(days=1)
_MIB: Final = 1 << 20
_RETRIES_RUN_THE_LATEST: Final = "an activity keeps nothing between attempts, so a retry runs the code there is"
_LATER: Final = "it comes in a later version; leave it out"
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

LOG: Final = TableOf(
    "log",
    (
        Key(
            "format",
            Choice(("auto", "console", "json")),
            'How the daemon logs: "console" for people, "json", or "auto", which is console on a terminal.',
            "auto",
        ),
        Key(
            "level",
            Choice(("debug", "info", "warning", "error")),
            'The least that is written: "debug", "info", "warning" or "error".',
            "info",
        ),
    ),
)

DAEMON: Final = TableOf(
    "[daemon]",
    (
        Key(
            "state_dir",
            forms.PATH,
            "Where the database is; if left out, in $STATE_DIRECTORY, else in .obelisk beside this file.",
            example=".obelisk",
        ),
        Key(
            "listen",
            forms.LISTEN,
            "Unix sockets and loopback addresses of the API; if left out, api.sock in the state directory.",
            example=["unix:.obelisk/api.sock"],
        ),
        Key(
            "log",
            LOG,
            "How the daemon writes its own log.",
            LOG.authored_defaults(),
        ),
        Key(
            "stop_grace",
            Duration(0 * _MS, timedelta(hours=1)),
            "How long a clean stop waits for running attempts before it drops them.",
            "10s",
        ),
    ),
    {"database": _LATER},
)

EXECUTOR: Final = TableOf(
    "[executor]",
    (
        Key("labels", forms.LABELS, "What this host offers; it runs what requires some of them or none.", []),
        Key("max_running", Number(1, 100_000), "How many attempts and workflows run at once.", 200),
        Key(
            "lease",
            Duration(timedelta(seconds=1), timedelta(minutes=10)),
            "After this long without a sign of life from this daemon its work may be taken over.",
            "15s",
        ),
    ),
    {"name": _LATER},
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
        Key("logs", Size(0, 64 * _MIB), "The size of all that a run may log; the rest is cut off.", "1MiB"),
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
_COMPONENT_LATER: Final = dict.fromkeys(
    ("queue_timeout", "deadline", "priority", "max_running", "max_pending", "when_full"), _LATER
)
_WORKFLOW_ONLY: Final = ("on_block", "max_hot", "on_nondeterminism", "on_trap", "max_history_events")
_NOT_OF_ACTIVITIES: Final = dict.fromkeys(_WORKFLOW_ONLY, _A_WORKFLOW) | {
    "cancellable": "only a workflow has it; an activity can always be cancelled"
}
_NOT_OF_FUNCTIONS: Final = dict.fromkeys(
    _WORKFLOW_ONLY, "it holds for all functions of a workflow: write it into [[workflow]]"
)

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
    "activity": TableOf("a function of an activity", _ACTIVITY_FUNCTION, _COMPONENT_LATER | _NOT_OF_ACTIVITIES),
    "workflow": TableOf("a function of a workflow", _WORKFLOW_FUNCTION, _COMPONENT_LATER | _NOT_OF_FUNCTIONS),
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
    Key(
        "on_upgrade",
        Choice(("force",), later=("replay", "pin")),
        'What running executions do after an upgrade: "force" moves them to the new code.',
        "force",
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
DEFAULTS: Final = TableOf("[defaults]", tuple(Key(kind, table, "") for kind, table in SETTINGS.items()))
MANIFEST: Final = TableOf(
    "the manifest",
    (
        Key("daemon", DAEMON, "The daemon itself; a change needs a restart."),
        Key("executor", EXECUTOR, "What this daemon runs, and how much of it."),
        Key("defaults", DEFAULTS, "Settings of all components of a kind."),
        *(Key(kind, TablesOf(table), f"Components of the kind {kind}.") for kind, table in COMPONENT.items()),
        Key("stub", TablesOf(STUB), "Functions that are never run: somebody else gives the result."),
        Key("secrets", SECRETS, "Where the values are that the host puts into requests."),
    ),
    dict.fromkeys(("cron", "webhook", "limits", "retention"), _LATER),
)
