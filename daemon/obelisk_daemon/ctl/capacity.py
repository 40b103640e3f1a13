"""`obelisk-ctl queues`, `executors` and `drain`."""

from typing import Annotated, Any
from urllib.parse import quote

import typer

from obelisk_daemon.ctl.failure import OK
from obelisk_daemon.ctl.session import Flag, Session, command


def register(app: typer.Typer) -> None:
    """Add the commands."""
    command(app, "queues")(queues)
    command(app, "executors")(executors)
    command(app, "drain", Flag("undo", "Have it take work again."))(drain)


def queues(session: Session) -> int:
    """Show what waits and runs of each component, and its limits."""
    document = session.client.get("/v1/queues").document
    if session.output.as_json:
        session.output.document(document)
        return OK
    lines = [*document["queues"], {"component": "all", **document["total"]}]
    session.output.table(("COMPONENT", "KIND", "PENDING", "RUNNING", "OLDEST", "NEVER STARTED"), [*map(_queue, lines)])
    return OK


def _queue(one: dict[str, Any]) -> tuple[str, ...]:
    return (
        one["component"],
        one.get("kind", ""),
        str(one["pending"]),
        _of(one["running"], one.get("max_running")),
        one.get("oldest_due_at", ""),
        _of(one["never_started"], one.get("max_pending")),
    )


def _of(number: int, limit: int | None) -> str:
    return str(number) if limit is None else f"{number} of {limit}"


def executors(session: Session) -> int:
    """Show the hosts, and their executors: what they offer, and how much of it is taken.

    Those that are gone stay for an hour.
    """
    document = session.client.get("/v1/executors").document
    if session.output.as_json:
        session.output.document(document)
        return OK
    names = ("HOST", "STATE", "GENERATION", "RUNNING", "HOT", "SEEN", "STARTED", "VERSION")
    session.output.table(names, [_host(one) for one in document["hosts"]])
    session.output.line("")
    rows = [
        (
            one["name"],
            "here" if one["here"] else "elsewhere",
            _of(one["running"], one["max_running"]),
            str(one["hot"]),
            one["seen_at"],
            one["started_at"],
            ", ".join(one["labels"]),
            one["host"],
            one["executor_id"],
        )
        for one in document["executors"]
    ]
    session.output.table(("NAME", "WHERE", "RUNNING", "HOT", "SEEN", "STARTED", "LABELS", "HOST", "ID"), rows)
    return OK


def _host(one: dict[str, Any]) -> tuple[str, ...]:
    state = "gone" if not one["alive"] else "draining" if one["draining"] else "working"
    generation = str(one.get("generation", ""))
    load = (str(one["running"]), str(one["hot"]))
    return (one["host"], state, generation, *load, one["seen_at"], one["started_at"], one["version"])


def drain(
    session: Session, host: Annotated[str, typer.Argument(metavar="HOST", help="As `executors` names it.")]
) -> int:
    """Have a host take no more work, say before its machine is stopped.

    What runs there ends, and workflows that wait go on elsewhere. It stays so when its daemon is started again,
    until --undo.
    """
    done = session.client.post(f"/v1/hosts/{quote(host, safe='')}/{'undrain' if session.flags else 'drain'}").document
    if session.output.as_json:
        session.output.document(done)
    session.output.line(f"{host} {'takes no more work' if done['draining'] else 'takes work again'}, in a few seconds")
    return OK
