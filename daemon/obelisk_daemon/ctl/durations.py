"""Durations as people write them: `250ms`, `30s`, `5m`, `1h`, `7d`."""

import re
from typing import Final

from obelisk_daemon.ctl.failure import USAGE, CtlError

_FORM: Final = re.compile(r"(?P<number>[0-9]{1,9}(\.[0-9]{1,6})?)(?P<unit>ms|s|m|h|d)")
_SECONDS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0}


def parse_seconds(text: str) -> float:
    """Read a duration.

    Raises:
        CtlError: with the usage exit code.
    """
    match = _FORM.fullmatch(text)
    if match is None:
        raise CtlError(USAGE, "usage", f"{text[:40]!r} is not a duration; write 250ms, 30s, 5m, 1h or 7d")
    return float(match["number"]) * _SECONDS[match["unit"]]
