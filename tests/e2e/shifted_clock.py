"""Run obeliskd on a machine whose clock is off by the seconds that a file says: `shifted_clock.py FILE obeliskd ...`.

libfaketime would do it from outside, but it also shifts the monotonic clock under the waits of the loop, which setting
a machine's clock never does.
"""

import sys
import time
from pathlib import Path

from obelisk_daemon.clock import SystemClock
from obelisk_daemon.obeliskd import main

_FILE = Path(sys.argv[1])


def _shifted() -> int:
    return time.time_ns() + int(_FILE.read_text()) * 1_000_000_000


if __name__ == "__main__":
    SystemClock.__init__.__defaults__ = (_shifted, time.monotonic_ns)  # type: ignore[misc]
    sys.argv = sys.argv[2:]
    main()
