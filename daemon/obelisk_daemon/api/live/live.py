"""All that is live, as the API holds it and the supervisor makes it."""

from collections.abc import Callable

from obelisk_daemon.api.live.daemon import DaemonStream, Sources
from obelisk_daemon.api.live.following import Following
from obelisk_daemon.api.live.streams import MAX_STREAMS, Streams
from obelisk_daemon.api.turns import Turns
from obelisk_daemon.clock import Instant
from obelisk_daemon.storage.port import ExecutionReader
from obelisk_daemon.storage.records import Change


class Live:
    """The streams and what feeds them. `publish` is a `storage.records.Subscriber`.

    `name` is another one in every process: with it, the ids of the daemon's messages are told from those of an
    earlier one.
    """

    def __init__(
        self,
        reader: ExecutionReader,
        sources: Sources,
        now: Callable[[], Instant],
        name: str,
        max_streams: int = MAX_STREAMS,
    ) -> None:
        self.streams = Streams(max_streams)
        self.following = Following(reader)
        self.daemon = DaemonStream(sources, now, name)
        self.turns = Turns()

    def publish(self, change: Change) -> None:
        """Hand a committed change to whoever listens."""
        self.following.publish(change)
        self.daemon.publish(change)

    async def close(self) -> None:
        """Stop making messages, once the server has ended."""
        await self.daemon.close()
