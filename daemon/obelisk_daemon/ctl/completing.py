"""What could stand where the cursor is: commands, options, and what the daemon knows: functions, ids, generations.

The shells' scripts (`ctl.shells`) call `obelisk-ctl __complete WORD...` with the words up to the cursor, the last one
unfinished. It answers with a line for each candidate, its description after a tab; or with `:files` or `:dirs`.
"""

from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any, Final, NamedTuple, Protocol, TypeAlias

FILES: Final = ":files"
DIRECTORIES: Final = ":dirs"
Candidate: TypeAlias = tuple[str, str]
"""A word, and what it is."""
_MOST: Final = 100
_OWNERS: Final = 20
_STATES: Final = ("pending_at", "locked", "blocked", "finished")
_WORDS: Final = {
    "state": _STATES,
    "lifecycle": ("active", "paused", "cancelling"),
    "outcome": ("ok", "err", "failed"),
    "action": ("cancel", "pause", "resume", "retry"),
    "role": ("read", "operate", "admin"),
    "shell": ("bash", "zsh", "fish"),
}
_FINDS_BY_COMMAND: Final = {
    "cancel": "unfinished",
    "pause": "unfinished",
    "resume": "paused",
    "why": "unfinished",
    "upgrade": "unfinished",
    "retry": "finished",
    "delays": "blocked",
}


class Ask(Protocol):
    """How the daemon is asked."""

    def __call__(self, path: str, **query: object) -> Mapping[str, Any]:
        """Read a document; an empty one when the daemon can't be reached at once."""
        ...


class Place(NamedTuple):
    """Where the cursor is: in which command, if it is one, what its options were given, and which parameter is next."""

    command: Any
    path: tuple[str, ...]
    options: Mapping[str, str]
    parameter: Any


def place_of(root: Any, words: Sequence[str]) -> Place:
    """Read the words before the cursor. Those that are wrong are passed over: the command itself will complain."""
    command, path, options, arguments = root, [], {}, 0
    expected = None
    for word in words:
        if expected is not None:
            options[expected.name], expected = word, None
        elif word.startswith("-"):
            name, equals, value = word.partition("=")
            option = _option(command, name)
            if option is not None and equals:
                options[option.name] = value
            elif option is not None and not option.is_flag:
                expected = option
        elif word in getattr(command, "commands", ()):
            command = command.commands[word]
            path.append(word)
        elif hasattr(command, "commands"):  # there is no such command: nothing can follow
            return Place(None, tuple(path), options, None)
        else:
            arguments += 1
    return Place(command, tuple(path), options, expected if expected is not None else _argument(command, arguments))


def suggest(root: Any, words: Sequence[str], ask: Ask) -> list[str]:
    """Give the lines for the last of the words."""
    *before, current = words or [""]
    place = place_of(root, before)
    if place.command is None:
        return []
    taking_value = place.parameter is not None and place.parameter.param_type_name == "option"
    if current.startswith("-") and not taking_value:
        return _lines(_options(place.command), current)
    metavar = getattr(place.parameter, "metavar", None) or ""
    if "FILE" in metavar:
        return [FILES]
    if "DIR" in metavar:
        return [DIRECTORIES]
    if hasattr(place.command, "commands") and not taking_value:
        return _lines(((name, _summary(one)) for name, one in place.command.commands.items()), current)
    return _lines(_values(place, ask), current)


def _option(command: Any, name: str) -> Any:
    return next((one for one in command.params if name in (*one.opts, *one.secondary_opts)), None)


def _argument(command: Any, position: int) -> Any:
    """Give the argument at a position; the last one where it may be repeated."""
    found = [one for one in command.params if one.param_type_name == "argument"]
    if position < len(found):
        return found[position]
    return found[-1] if found and found[-1].nargs == -1 else None


def _options(command: Any) -> Iterator[Candidate]:
    for one in command.params:
        if one.param_type_name == "option":
            longest = max(one.opts, key=len)
            yield longest, one.help or ""
    yield "--help", "Show this message and exit."


def _summary(command: Any) -> str:
    return str(command.get_short_help_str(80))


def _lines(candidates: Iterable[Candidate], current: str) -> list[str]:
    return [f"{word}\t{told.splitlines()[0] if told else ''}" for word, told in candidates if word.startswith(current)]


def _values(place: Place, ask: Ask) -> Iterable[Candidate]:
    match None if place.parameter is None else place.parameter.name:
        case "execution_id" | "parent" if (place.parameter.metavar or "") != "E_...":
            return _executions(place.path[-1], ask)
        case "ffqn":
            return _functions(ask)
        case "target":
            return [*_components(ask), *_functions(ask)]
        case "component" | "names":
            return _components(ask)
        case "delay_id":
            return _delays(ask)
        case "failure_id":
            return _failures(ask)
        case "state" | "lifecycle" | "outcome" | "action" | "role" | "shell" as name:
            return [(word, "") for word in _WORDS[name]]
        case "label" | "labels":
            executors = ask("/v1/status").get("executors", ())
            return [(label, f"offered by {one['name']}") for one in executors for label in one["labels"]]
        case "number" | "before" | "after" | "generation":
            found = ask("/v1/manifest/generations", limit=_MOST).get("generations", ())
            return [(str(one["generation"]), f"{one['cause']} {one['activated_at'][:19]}Z") for one in found]
    return ()


def _functions(ask: Ask) -> list[Candidate]:
    return [(one["ffqn"], f"{one['kind']} {one['signature']}") for one in ask("/v1/functions").get("functions", ())]


def _components(ask: Ask) -> list[Candidate]:
    return [(one["name"], one["kind"]) for one in ask("/v1/components").get("components", ())]


def _executions(command: str, ask: Ask) -> Iterator[Candidate]:
    """Give the newest ids that the command can do something with."""
    for row in _rows(command, ask):
        if _is_wanted(row, _FINDS_BY_COMMAND.get(command, "all")):
            lifecycle = "" if row["lifecycle"] == "active" else f", {row['lifecycle']}"
            yield row["execution_id"], f"{row['state']}{lifecycle}  {row['ffqn']}"


def _rows(command: str, ask: Ask) -> Iterator[Mapping[str, Any]]:
    wanted = _FINDS_BY_COMMAND.get(command)
    state = wanted if wanted in _STATES else None
    if command != "stub":
        yield from ask("/v1/executions", limit=_MOST, state=state).get("executions", ())
        return
    for function in ask("/v1/functions").get("functions", ()):
        if function["kind"] == "stub":
            query = {"ffqn": function["ffqn"], "state": "pending_at", "limit": _MOST}
            yield from ask("/v1/executions", **query).get("executions", ())


def _is_wanted(row: Mapping[str, Any], wanted: str) -> bool:
    match wanted:
        case "unfinished":
            return bool(row["state"] != "finished")
        case "paused":
            return bool(row["lifecycle"] == "paused")
    return True


def _delays(ask: Ask) -> Iterator[Candidate]:
    for row in ask("/v1/executions", limit=_OWNERS, state="blocked").get("executions", ()):
        for delay in ask(f"/v1/executions/{row['execution_id']}/delays", limit=_OWNERS).get("delays", ()):
            yield delay["delay_id"], f"due {delay['due_at'][:19]}Z of {row['ffqn']}"


def _failures(ask: Ask) -> Iterator[Candidate]:
    for row in ask("/v1/executions", limit=_MOST, state="finished").get("executions", ()):
        failure = (row.get("result") or {}).get("execution_failure")
        if failure is not None:
            yield failure["failure_id"], f"{failure['kind']} of {row['ffqn']}"
