"""What workloads give."""

from typing import NamedTuple


class Goal(NamedTuple):
    """What a number is to be: at least `bound`, or at most where `most` is set."""

    bound: float
    most: bool = False

    def met(self, value: float) -> bool:
        """Tell whether a value reaches it."""
        return value <= self.bound if self.most else value >= self.bound


class Row(NamedTuple):
    """One measured number. `note` tells under what it was measured; what makes no sense for it is None."""

    name: str
    value: float
    unit: str
    note: str = ""
    p50: float | None = None
    """Milliseconds that one operation took, by the median."""
    p99: float | None = None
    rss: float | None = None
    """MiB of the daemon, at the end of the round."""
    commits: float | None = None
    """For each operation."""
    written: float | None = None
    """Bytes to the disk, for each operation."""
    floor: float | None = None
    """What this is of the floor, which `note` names: both were measured in turns."""
    goal: Goal | None = None
