"""What workloads give."""

from typing import NamedTuple


class Row(NamedTuple):
    """One measured number."""

    name: str
    value: float
    unit: str
