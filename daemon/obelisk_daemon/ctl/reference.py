"""Writes `docs/obelisk-ctl.md` from the commands themselves: `python -m obelisk_daemon.ctl.reference`."""

import io
import os
import sys
from collections.abc import Iterator
from contextlib import redirect_stdout
from typing import Any, Final

from typer.main import get_command

from obelisk_daemon.ctl.main import PROGRAM, main, make_app

_HEAD: Final = f"""# {PROGRAM}

Every command with its options, as `--help` prints them. This file is made by `python -m obelisk_daemon.ctl.reference`.
"""


def commands() -> Iterator[tuple[str, ...]]:
    """Give the words of every command, groups left out."""
    yield from _below(get_command(make_app()), ())


def help_of(words: tuple[str, ...]) -> str:
    """Give what `--help` prints of a command."""
    written = io.StringIO()
    with redirect_stdout(written):
        try:
            main([*words, "--help"])
        except SystemExit:
            return written.getvalue()


def text() -> str:
    """Write the whole reference."""
    parts = [_HEAD, _section((), "The program")]
    parts += [_section(words, " ".join((PROGRAM, *words))) for words in sorted(commands())]
    return "\n".join(parts)


def _below(group: Any, words: tuple[str, ...]) -> Iterator[tuple[str, ...]]:
    for name, command in group.commands.items():
        if hasattr(command, "commands"):
            yield from _below(command, (*words, name))
        else:
            yield (*words, name)


def _section(words: tuple[str, ...], title: str) -> str:
    return f"## {title}\n\n```text\n{help_of(words).rstrip()}\n```\n"


if __name__ == "__main__":
    os.environ["COLUMNS"] = "100"
    sys.stdout.write(text())
