"""Which execution is to blame when daemons die: a guest that takes its daemon down must not do so for ever.

1. Whatever runs when its daemon dies uncleanly is a suspect, until an attempt of it ends in whatever way but this.
2. Suspects are started one at a time, alone: nothing else runs in that process meanwhile. Who was alone most rarely is
   first, but before them whoever was alone when a daemon died.
3. Only deaths while it was alone count. After `ENOUGH` of them it is paused as `quarantined`, until an operator
   resumes it.
4. Alone it is for `patience` only; what still runs then runs on among others, and is no longer counted.
5. A suspect that could have started for `SHARED_AFTER`, and had no turn, starts among others: so a daemon that is
   busy with long runs, or has long ones among its suspects, holds nobody up for long. After one more death, those that
   had no turn are before those that had one.

So a daemon that is killed from outside quarantines nobody, unless it is killed three times in a row during the
moments in which the same execution is alone.
"""

from datetime import timedelta
from typing import Final

import msgspec

from obelisk_daemon.clock import Instant, after
from obelisk_daemon.execution.events import Paused

ENOUGH: Final = 3
SHARED_AFTER: Final = timedelta(seconds=5)
_SHORTEST: Final = timedelta(milliseconds=250)
_LONGEST: Final = timedelta(seconds=4)


class Suspicion(msgspec.Struct, frozen=True):
    """What is known of a suspect: how often it was started alone, and how many daemons died while it was."""

    turns: int = 0
    deaths: int = 0

    @property
    def is_enough(self) -> bool:
        """Tell if it is to be paused."""
        return self.deaths >= ENOUGH


def after_death(before: Suspicion | None, *, was_alone: bool) -> Suspicion:
    """Give what is known of an execution once a daemon has died while it ran; `before` is None of no suspect."""
    known = before or Suspicion()
    return msgspec.structs.replace(known, deaths=known.deaths + was_alone)


def quarantine(suspicion: Suspicion) -> Paused:
    """Give the event that stops it."""
    return Paused("quarantined", message=f"{suspicion.deaths} daemons in a row died while it ran alone")


def patience(turn: int) -> timedelta:
    """Give how long a suspect is alone at most, in its first turn, its second, ...: each is twice as long."""
    return min(_SHORTEST * (1 << min(turn, 10) - 1), _LONGEST)


def shared_at(due_at: Instant, at: Instant) -> Instant:
    """Give when a suspect of a death may start among others too: once it could have had its turn for a while."""
    return after(max(due_at, at), SHARED_AFTER)
