"""What workloads give."""

from typing import NamedTuple


class Row(NamedTuple):
    """One measured number. `note` tells under what it was measured."""

    name: str
    value: float
    unit: str
    note: str = ""
