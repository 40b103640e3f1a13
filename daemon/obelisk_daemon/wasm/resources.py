"""The host objects that a guest holds handles to, and the ways in which the host ends a guest."""

from typing import Any, Literal, TypeAlias

TrapKind: TypeAlias = Literal["trap", "out_of_fuel", "memory", "stack", "exit", "host_calls", "value_size", "resources"]


class GuestStopped(Exception):  # noqa: N818 - an outcome of the guest, not an error of ours
    """Raised by a host function to end its guest: `run` gives it back as `Trapped(kind, message)`."""

    def __init__(self, kind: TrapKind, message: str) -> None:
        super().__init__(message)
        self.kind = kind


class Resources:
    """A guest's table of host objects.

    An object with a method `drop` is dropped when the guest drops its handle, or ends.
    """

    __slots__ = ("_limit", "_next", "_objects")

    def __init__(self, limit: int) -> None:
        self._limit = limit
        self._next = 1
        self._objects: dict[int, Any] = {}

    def __len__(self) -> int:
        return len(self._objects)

    def new(self, resource: object) -> int:
        """Add an object and give the number that stands for it in plain values."""
        if len(self._objects) >= self._limit:
            raise GuestStopped("resources", f"the guest holds more than {self._limit} resources")
        number = self._next
        self._next = number + 1
        self._objects[number] = resource
        return number

    def get(self, number: int) -> Any:
        """Give the object of a number, as for a borrow."""
        try:
            return self._objects[number]
        except KeyError:
            raise GuestStopped("trap", f"resource {number} was already given up") from None

    def take(self, number: int) -> Any:
        """Give the object of a number and forget it, as for an owned handle; its `drop` isn't called."""
        resource = self.get(number)
        del self._objects[number]
        return resource

    def drop(self, number: int) -> None:
        """Forget an object whose handle the guest has dropped."""
        resource = self._objects.pop(number, None)
        if resource is not None:
            _drop(resource)

    def clear(self) -> None:
        """Drop all, the newest first, as a child is newer than its parent. All are dropped even when one fails.

        Raises:
            ExceptionGroup: of what the objects' `drop` raised.
        """
        errors = []
        while self._objects:
            _, resource = self._objects.popitem()
            try:
                _drop(resource)
            except Exception as error:  # noqa: BLE001 - the guest boundary: raised below, once all are dropped
                errors.append(error)
        if errors:
            raise ExceptionGroup("dropping the guest's resources failed", errors)


def _drop(resource: Any) -> None:
    drop = getattr(resource, "drop", None)
    if drop is not None:
        drop()
