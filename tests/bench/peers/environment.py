"""Environments of peers, each made once and kept in the checkout: none of them is a dependency of ours."""

import subprocess
import sys
from pathlib import Path
from typing import Final

_KEPT: Final = Path(__file__).parents[3] / ".venv-peers"


def python_with(name: str, *requirements: str) -> Path:
    """Give the interpreter of the environment of a peer; `requirements` are installed when it is made."""
    directory = _KEPT / name
    python, made = directory / "bin" / "python", directory / "made"
    wanted = "\n".join(requirements)
    if not made.is_file() or made.read_text() != wanted:
        subprocess.run([sys.executable, "-m", "venv", "--clear", directory], check=True)
        pip = [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, *requirements], check=True)
        made.write_text(wanted)
    return python
