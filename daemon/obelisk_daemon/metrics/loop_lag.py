"""How late the loop is: the one number that tells whether guests or we ourselves keep it from its work."""

import asyncio
from typing import Final, NoReturn

from obelisk_daemon.metrics.instruments import Histogram

_INTERVAL: Final = 0.5


async def measure_loop_lag(lag: Histogram) -> NoReturn:
    """Note for ever how much later than asked for a sleep ends."""
    loop = asyncio.get_running_loop()
    while True:
        due = loop.time() + _INTERVAL
        await asyncio.sleep(_INTERVAL)
        lag.observe(max(0.0, loop.time() - due))
