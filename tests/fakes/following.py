"""What a reader in memory gives to those who follow."""

from collections.abc import Sequence

from obelisk_daemon.execution.events import Entry, Response
from obelisk_daemon.ids import ExecutionId, RunId
from obelisk_daemon.storage.records import Kept, LogLine, Position, Progress, Summary, Tree


class FakeFollowing:
    """The reads of streams and trees, over the logs of a `FakeWorld`."""

    logs: dict[ExecutionId, list[Entry]]
    delivered: dict[ExecutionId, list[Response]]
    lines: dict[ExecutionId, list[tuple[int, RunId | None, LogLine]]]

    async def summary(self, execution_id: ExecutionId) -> Summary:
        raise NotImplementedError

    async def progress(self, execution_id: ExecutionId, after: Position, limit: int, *, logs: bool) -> Progress:
        summary = await self.summary(execution_id)
        entries = self.logs[execution_id][after.version :]
        responses = [item for item in self.delivered.get(execution_id, []) if item.seq > after.responses]
        lines = [line for line in self.lines.get(execution_id, []) if logs and line[0] > after.line]
        sizes: dict[Kept, int] = {"events": len(entries), "responses": len(responses), "lines": len(lines)}
        more = frozenset(kind for kind, size in sizes.items() if size > limit)
        return Progress(summary, entries[:limit], responses[:limit], lines[:limit], more)

    async def summaries_of(self, chosen: Sequence[ExecutionId]) -> list[Summary]:
        return [await self.summary(known) for known in chosen if known in self.logs]

    async def tree(self, execution_id: ExecutionId, depth: int, limit: int) -> Tree:
        nodes, cut = [await self.summary(execution_id)], set()
        level = list(nodes)
        for below in range(depth + 1):
            parents, level = level, []
            for parent in parents:
                rows = [await self.summary(known) for known in sorted(self.logs)]
                children = [row for row in rows if row.parent_id == parent.execution_id]
                room = limit - len(nodes) if below < depth else 0
                if len(children) > room:
                    cut.add(parent.execution_id)
                level += children[:room]
                nodes += children[:room]
        return Tree(tuple(nodes), frozenset(cut))
