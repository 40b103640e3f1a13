"""Every other key of the manifest, once: its rule, its default, and the sentence that describes it.

`obelisk.toml.example` is made from these tables and those of `component_keys` (`example`).
"""

from datetime import timedelta
from typing import Final

from obelisk_config import forms
from obelisk_config.component_keys import ACTIVITY_LIMITS, COMPONENT, LATER, SETTINGS, WHEN_FULL, WORKFLOW_LIMITS
from obelisk_config.database import DatabaseEntry
from obelisk_config.listening import LISTEN
from obelisk_config.rules import Boolean, Choice, Duration, DurationOrNever, Key, Number
from obelisk_config.secrets import SECRETS
from obelisk_config.stubs import STUB
from obelisk_config.tables import TableOf, TableOrTables, TablesOf
from obelisk_config.tokens import TOKEN

_MS: Final = timedelta(milliseconds=1)
_OF_A_RUN: Final = "it bounds one run: write it into limits of [defaults.activity], [defaults.workflow] or a component"

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
            "For SQLite's database and compiled code; if left out, $STATE_DIRECTORY, else .obelisk beside this file.",
            example=".obelisk",
        ),
        Key(
            "database",
            DatabaseEntry(),
            'Where executions are: "sqlite", in state_dir, or a PostgreSQL database that several hosts may share.',
            "sqlite",
            "postgresql://obelisk@db.example.com/obelisk?sslmode=verify-full",
        ),
        Key(
            "listen",
            LISTEN,
            "Unix sockets and addresses of the API; if left out, api.sock in $RUNTIME_DIRECTORY or state_dir.",
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
        Key(
            "traces",
            Boolean(),
            "Whether traces are sent by OpenTelemetry (pip install obeliskd[otel]), as the OTEL_* variables say.",
            default=False,
        ),
        Key(
            "host",
            forms.HOST,
            'The name of this host among those that share a database; "auto" is that of the machine.',
            "auto",
        ),
        Key(
            "manifest",
            Choice(("file", "database")),
            'What decides what runs: each host\'s "file", or the "database", where one host puts it by a reload.',
            "file",
        ),
    ),
)

_EXECUTOR: Final = (
    Key("labels", forms.LABELS, "What this host offers; it runs what requires some of them or none.", []),
    Key("max_running", Number(1, 100_000), "How many attempts and workflows run at once.", 200),
    Key(
        "lease",
        Duration(timedelta(seconds=1), timedelta(minutes=10)),
        "After this long without a sign of life from this daemon its work may be taken over.",
        "15s",
    ),
)
EXECUTOR: Final = TableOf(
    "[executor]", (Key("name", forms.NAME, "Names it in logs and commands.", "default"), *_EXECUTOR)
)
EXECUTORS: Final = TableOf(
    "[[executor]]",
    (
        Key("name", forms.NAME, "Names it in logs and commands; no two share one.", example="default", required=True),
        *_EXECUTOR,
    ),
)
LIMITS: Final = TableOf(
    "[limits]",
    (
        Key(
            "max_pending",
            Number(1, 100_000_000),
            "How many executions of all components may wait for their first run.",
            1_000_000,
        ),
        WHEN_FULL,
    ),
    {"max_running": "write it into [executor] or into a component"}
    | dict.fromkeys((key.name for limits in (ACTIVITY_LIMITS, WORKFLOW_LIMITS) for key in limits.keys), _OF_A_RUN),
)
RETENTION: Final = TableOf(
    "[retention]",
    (
        Key(
            "finished",
            DurationOrNever(Duration(timedelta(minutes=1), timedelta(days=36_500))),
            'How long what has finished is kept, with its children, logs and failures; "never" deletes nothing.',
            "30d",
        ),
        Key(
            "generations",
            Number(0, 1_000_000),
            "How many generations before the active one stay, to roll back to, with their components.",
            100,
        ),
    ),
)
DEFAULTS: Final = TableOf("[defaults]", tuple(Key(kind, table, "") for kind, table in SETTINGS.items()))
MANIFEST: Final = TableOf(
    "the manifest",
    (
        Key("daemon", DAEMON, "The daemon itself; a change needs a restart."),
        Key(
            "executor",
            TableOrTables(EXECUTOR, TablesOf(EXECUTORS, most=64, least=1)),
            "What this daemon runs, and how much of it; several may share the work, each with a name.",
        ),
        Key("limits", LIMITS, "What all components together may use."),
        Key("retention", RETENTION, "How long what nobody needs any more is kept."),
        Key("defaults", DEFAULTS, "Settings of all components of a kind."),
        *(Key(kind, TablesOf(table), f"Components of the kind {kind}.") for kind, table in COMPONENT.items()),
        Key("stub", TablesOf(STUB), "Functions that are never run: somebody else gives the result."),
        Key("secrets", SECRETS, "Where the values are that the host puts into requests."),
        Key("token", TablesOf(TOKEN, most=1_000), "Who may use the API over TCP."),
    ),
    dict.fromkeys(("cron", "webhook"), LATER),
)
