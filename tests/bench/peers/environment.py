"""Environments of peers, each made once and kept in the checkout: none of them is a dependency of ours."""

import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Final

_KEPT: Final = Path(__file__).parents[3] / ".venv-peers"


def python_with(name: str, *requirements: str) -> Path:
    """Give the interpreter of the environment of a peer; `requirements` are installed when it is made."""
    directory = _KEPT / name
    python = directory / "bin" / "python"

    def make() -> None:
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *requirements], check=True)

    _once(directory, requirements, make)
    return python


def npm_with(name: str, package: str) -> Path:
    """Give the directory of the scope of an npm package, with what it depends on, in an environment of its own."""
    directory = _KEPT / name

    def make() -> None:
        directory.mkdir(parents=True, exist_ok=True)
        npm = ["npm", "install", "--prefix", str(directory), "--no-audit", "--no-fund", "--silent"]
        subprocess.run([*npm, package], check=True)

    _once(directory, (package,), make)
    return directory / "node_modules" / package.partition("/")[0]


def _once(directory: Path, requirements: Sequence[str], make: Callable[[], None]) -> None:
    made, wanted = directory / "made", "\n".join(requirements)
    if not made.is_file() or made.read_text() != wanted:
        make()
        made.write_text(wanted)
