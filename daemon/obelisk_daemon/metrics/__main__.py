"""Print the list of metrics for `monitoring/README.md`: `python -m obelisk_daemon.metrics`."""

import sys
from collections.abc import Iterator

from obelisk_daemon.metrics import Metrics


def table() -> Iterator[str]:
    """Give the lines of a table of all metrics of our own."""
    yield "| metric | labels | what it is |"
    yield "|---|---|---|"
    for one in Metrics().instruments():
        kind = type(one).__name__.lower()
        labels = ", ".join(f"`{label}`" for label in one.labels)
        yield f"| `{one.name}` | {labels} | {kind}: {one.says} |"


if __name__ == "__main__":
    sys.stdout.writelines(f"{line}\n" for line in table())
