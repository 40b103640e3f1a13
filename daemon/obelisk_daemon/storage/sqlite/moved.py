"""A note beside a database whose executions go on elsewhere: run from here too, each of them would run twice."""

from pathlib import Path

from obelisk_daemon.errors import OperatorError


def note_move(file: Path, to: str) -> None:
    """Note that what is in `file` has gone to the database `to`."""
    _note(file).write_text(f"{to}\n")


def forget_move(file: Path) -> None:
    """Take the note back: it did not go."""
    _note(file).unlink(missing_ok=True)


def refuse_moved(file: Path) -> None:
    """Refuse to open a database whose executions go on elsewhere.

    Raises:
        OperatorError: `database_moved`.
    """
    note = _note(file)
    if note.exists():
        message = f"what is in {file} was copied to {note.read_text().strip()}, and goes on there: name it in [daemon]"
        hint = f"database; to run it from here again, and there no more, delete {note}"
        raise OperatorError("database_moved", f"{message} {hint}")


def _note(file: Path) -> Path:
    return file.with_name(f"{file.name}.moved")
