"""Plans, differences and generations as lines that a person reads."""

from collections.abc import Iterator, Mapping
from typing import Any, Final

Document = Mapping[str, Any]
_SIGNS: Final = {"added": "+", "removed": "-", "changed": "~"}
_SHORT: Final = 19
"""Characters of a digest: `sha256:` and twelve digits."""
_POLICY: Final = {
    "replay": "those whose log replays on the new code move to it, the others end on the code they have",
    "pin": "they end on the code they have",
    "force": "all move to the new code; those whose log does not replay there are paused",
    "latest": "the next attempt runs the new code",
}


def origin(generation: Document) -> str:
    """Say what led to a generation."""
    restored = generation.get("restored")
    return str(generation["cause"]) + (f" to {restored}" if restored is not None else "")


def plan_lines(report: Document) -> Iterator[str]:
    """Tell a plan."""
    if report.get("text"):
        yield from report["text"].splitlines()
        yield ""
    yield from _component_lines(report)
    yield from _setting_lines(report.get("settings", ()), "  ")
    number = report["generation"]
    match report["outcome"]:
        case "unchanged":
            yield f"nothing changes: generation {number} is this already"
        case "refused":
            yield f"it would be refused at the stage {report['stage']}; generation {number} would stay active"
        case _:
            yield f"generation {number} would be followed by {number + 1}"
            yield f"to do just this: obelisk-ctl manifest reload --plan {report['token']}"


def difference_lines(difference: Document) -> Iterator[str]:
    """Tell what differs between two generations."""
    for change in difference.get("components", ()):
        before, after = change.get("digest") or (None, None)
        yield _head(change, before, after)
        yield from _setting_lines(change.get("settings", ()), "    ")
    yield from _setting_lines(difference.get("settings", ()), "")


def _component_lines(report: Document) -> Iterator[str]:
    for change in report.get("components", ()):
        yield _head(change, change.get("digest_before"), change.get("digest_after"))
        if "interface" in change:
            yield from _interface_lines(change["interface"])
        yield from _setting_lines(change.get("settings", ()), "    ")
        if change["unfinished"]:
            yield f"    {change['unfinished']} unfinished executions" + _policy(change)
        if "replay" in change:
            yield from _replay_lines(change["replay"])


def _head(change: Document, before: str | None, after: str | None) -> str:
    line = f"{_SIGNS[change['change']]} {change['kind']} {change['name']}"
    if change["change"] != "changed":
        digest = after or before
        return line + (f"  {digest[:_SHORT]}" if digest else "")
    return line + (f"  {_digest(before)} -> {_digest(after)}" if before != after else "")


def _digest(digest: str | None) -> str:
    return "a file without a digest" if digest is None else digest[:_SHORT]


def _interface_lines(interface: Document) -> Iterator[str]:
    yield f"    interface: {interface['verdict']}"
    for sign, name in (("+", "added"), ("-", "removed"), ("~", "retyped")):
        for function in interface[name]:
            yield f"      {sign} {function}"


def _setting_lines(settings: Any, margin: str) -> Iterator[str]:
    for one in settings:
        told = f"{margin}{one['key']}: {_value(one['before'])} -> {_value(one['after'])}"
        yield told + (" (needs a restart)" if one["restart_only"] else "")


def _value(text: str | None) -> str:
    return "not set" if text is None else text


def _policy(change: Document) -> str:
    policy = change.get("on_upgrade")
    return "" if policy is None else f", on_upgrade = {policy}: {_POLICY[policy]}"


def _replay_lines(forecast: Document) -> Iterator[str]:
    counts = f"can move {forecast['can_move']}, diverge {forecast['diverge']}"
    yield f"    replay: {counts}" + (f", not replayed {forecast['unknown']}" if forecast["unknown"] else "")
    first = forecast["first_divergence"]
    if first is not None:
        yield f"      {first['execution_id']} {first['message']}"
