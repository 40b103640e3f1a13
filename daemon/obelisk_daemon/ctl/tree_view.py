"""An execution and what descends from it as lines that fit a screen. Pure: what is shown follows from what was told."""

from collections import Counter, deque
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from typing import Any, Final, NamedTuple

from obelisk_daemon.ctl.narration import time_of
from obelisk_daemon.ctl.output import printable, shortened
from obelisk_daemon.ctl.screen import spoken, style_of_state
from obelisk_daemon.ctl.streaming import Message

LOG_LINES: Final = 10
Node = dict[str, Any]


class Part(NamedTuple):
    """A piece of a line and its style."""

    text: str
    style: str | None = None


class TreeView:
    """What is known of a tree. `take` is called by one thread, `lines` may be by another."""

    def __init__(self, root: str, now: Callable[[], datetime]) -> None:
        self._root = root
        self._now = now
        self._nodes: dict[str, Node] = {}
        self._logs: deque[Node] = deque(maxlen=LOG_LINES)

    def take(self, message: Message) -> None:
        """Take notice of a message of the execution's stream."""
        match message.event:
            case "state" | "finished" | "child":
                self._nodes[message.data["execution_id"]] = message.data
            case "log":
                self._logs.append(message.data)

    def lines(self, most: int) -> list[list[Part]]:
        """Write at most so many lines: what has not ended first, then what failed, then what changed last."""
        nodes, logs = dict(self._nodes), list(self._logs)
        if self._root not in nodes:
            return [[Part("waiting for the daemon", "dim")]]
        told = [[Part(f"{time_of(line)}  {line['level']:<6} ", "dim"), Part(_plain(line["message"]))] for line in logs]
        room = max(most - len(told) - bool(told), 3)
        drawn = self._fitting(nodes, room)
        return [*drawn[:room], *([[]] if told else []), *told][:most]

    def _fitting(self, nodes: dict[str, Node], room: int) -> list[list[Part]]:
        """Draw as many as fit with the lines that count the others."""
        number = room
        while True:
            drawn = list(self._drawn(nodes, self._chosen(nodes, number)))
            if len(drawn) <= room or number == 1:
                return drawn
            number = max(number - (len(drawn) - room), 1)

    def _chosen(self, nodes: dict[str, Node], room: int) -> set[str]:
        """Choose what is shown, each with what it descends from."""
        chosen = {self._root}
        for node in sorted(nodes.values(), key=_interest):
            line = set(_line_of(nodes, node))
            if len(chosen | line) > room:
                break
            chosen |= line
        return chosen

    def _drawn(self, nodes: dict[str, Node], chosen: set[str]) -> Iterator[list[Part]]:
        below: dict[str, list[Node]] = {}
        for node in sorted(nodes.values(), key=lambda node: (node["created_at"], len(node["execution_id"]))):
            if node["execution_id"] != self._root and (parent := node.get("parent_id")) in nodes:
                below.setdefault(parent, []).append(node)

        def draw(node: Node, head: str, tail: str) -> Iterator[list[Part]]:
            yield [Part(head, "dim"), *self._described(node)]
            children = below.get(node["execution_id"], [])
            shown = [child for child in children if child["execution_id"] in chosen]
            hidden = _counted(child for child in children if child["execution_id"] not in chosen)
            for number, child in enumerate(shown, start=1):
                is_last = number == len(shown) and not hidden
                yield from draw(child, tail + ("└─ " if is_last else "├─ "), tail + ("   " if is_last else "│  "))
            if hidden:
                yield [Part(f"{tail}└─ {hidden}", "dim")]

        yield from draw(nodes[self._root], "", "")

    def _described(self, node: Node) -> Iterator[Part]:
        name = node["ffqn"].rpartition("/")[2]
        word = state_word(node)
        yield Part(f"{_plain(name)}  ", "bold" if node["execution_id"] == self._root else None)
        yield Part(word, style_of_state(word))
        yield Part(f"  {self._duration(node)}")
        if node["attempts"] > 1:
            yield Part(f"  attempt {node['attempts']}", "yellow")
        if waits := self._waits(node):
            yield Part(f"  {_plain(waits)}", "dim")
        if node["execution_id"] != self._root:
            yield Part(f"  {_plain(node['execution_id'].rpartition('.')[2])}", "dim")

    def _duration(self, node: Node) -> str:
        begun = datetime.fromisoformat(node.get("started_at") or node["created_at"])
        until = datetime.fromisoformat(node["changed_at"]) if node["state"] == "finished" else self._now()
        seconds = max((until - begun).total_seconds(), 0)
        if seconds < 1:
            return f"{seconds * 1_000:.0f}ms"
        return spoken(seconds) if seconds >= 10 else f"{seconds:.1f}s"

    def _waits(self, node: Node) -> str:
        """Say what it waits for."""
        if node["lifecycle"] == "paused":
            return f"paused: {node['pause_reason']}"
        if node["state"] == "blocked" and "waiting_for" in node:
            return f"waits for {node['waiting_for']}"
        if node["state"] == "pending_at" and "due_at" in node:
            left = (datetime.fromisoformat(node["due_at"]) - self._now()).total_seconds()
            return f"due in {spoken(left)}" if left >= 1 else ""
        return ""


def state_word(node: Node) -> str:
    """Say in a word how an execution is, or how it ended."""
    if node.get("outcome") == "failed":
        return str(node.get("failure_kind", "failed"))
    word = str(node.get("outcome") or node["state"])
    return word if node["lifecycle"] == "active" else f"{word}, {node['lifecycle']}"


def _interest(node: Node) -> tuple[bool, bool, str]:
    """Put first what a person wants to see."""
    is_over = node["state"] == "finished"
    return is_over, node.get("outcome") == "ok", "" if not is_over else _inverted(node["changed_at"])


def _inverted(text: str) -> str:
    """Turn the order of times around."""
    return "".join(chr(0x7F - ord(character)) for character in text)


def _line_of(nodes: dict[str, Node], node: Node) -> Iterator[str]:
    """Give an execution and what it descends from."""
    known: str | None = node["execution_id"]
    while known in nodes:
        yield known
        known = nodes[known].get("parent_id")


def _counted(hidden: Iterable[Node]) -> str:
    counts = Counter(state_word(node) for node in hidden)
    return f"{counts.total()} more: " + ", ".join(f"{n} {word}" for word, n in counts.most_common()) if counts else ""


def _plain(text: str) -> str:
    return shortened(printable(text).replace("\n", "\\n").replace("\t", " "), 300)
