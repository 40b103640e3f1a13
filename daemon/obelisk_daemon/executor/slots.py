"""The slots of one executor: how many of its runs may compute at once."""


class Slots:
    """`size` runs may hold a slot; `taken` do, as long as they may compute. What has ended is written without one."""

    __slots__ = ("ending", "size", "taken")

    def __init__(self, size: int) -> None:
        self.size = size
        self.taken = 0
        self.ending = 0
        """Runs that have ended, and whose end is not durable yet."""

    @property
    def runs(self) -> int:
        """Count the runs that compute or are being written."""
        return self.taken + self.ending

    @property
    def may_run_ahead(self) -> bool:
        """Tell if there may be more work that waits for the disk: else it would grow for as long as the disk stalls."""
        return self.ending < self.size

    def end(self) -> None:
        """Free the slot of a run of which only the end is still to be written."""
        self.taken -= 1
        self.ending += 1

    def leave(self, *, has_ended: bool) -> None:
        """Forget a run, whether its end was to be written or it had a slot."""
        if has_ended:
            self.ending -= 1
        else:
            self.taken -= 1
