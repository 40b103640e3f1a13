"""Errors, split by who must act. The outcome of a guest is a value (`execution.outcome`), never one of these."""


class ObeliskError(Exception):
    """An error of the daemon. `code` is stable: programs match on it; `str()` is for people."""

    def __init__(self, code: str, message: str) -> None:
        super().__init__(message)
        self.code = code


class CallerError(ObeliskError):
    """The request is wrong: whoever sent it must correct it. The API answers 4xx."""


class NotFoundError(CallerError):
    """What the request names is not there. The API answers 404."""


class ConflictError(CallerError):
    """The request contradicts what is stored. The API answers 409."""


class QueueFullError(CallerError):
    """As much waits as may: the caller may try again later, or with a higher priority. The API answers 429."""


class OperatorError(ObeliskError):
    """The manifest, the state directory or the machine is wrong: the operator must act."""


class ComponentError(ObeliskError):
    """A component can't be used as it is: its author must act, or the operator must limit it otherwise."""


class StorageUnavailableError(ObeliskError):
    """The database can't take the write now (a full disk, say). Nothing was written; the same call may pass later."""


class OutcomeUnknownError(ObeliskError):
    """A commit failed in a way that hides whether it happened: the daemon must stop and read the truth at start."""


class UnauthenticatedError(ObeliskError):
    """Nobody knows who asks: there is no token, or none that holds. The API answers 401."""


class ForbiddenError(ObeliskError):
    """Who asks may not do that. The API answers 403."""
