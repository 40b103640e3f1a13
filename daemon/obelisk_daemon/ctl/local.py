"""What `obelisk-ctl` has `obeliskd` do here, in a process of its own: it has no database code itself."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

from obelisk_daemon.ctl.failure import USAGE, CtlError


def obeliskd(*arguments: str) -> Iterator[dict[str, Any]]:
    """Run a command of `obeliskd` that prints a JSON document a line, and give these.

    Raises:
        CtlError: it failed, as it says.
    """
    command = [sys.executable, "-s", "-P", "-m", "obelisk_daemon.obeliskd", *arguments]
    environ = os.environ | {"PYTHONPATH": os.pathsep.join(part for part in sys.path if part)}
    with subprocess.Popen(  # noqa: S603 - our own program
        command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE, env=environ, text=True
    ) as child:
        assert child.stdout is not None
        assert child.stderr is not None
        error: dict[str, Any] | None = None
        for line in child.stdout:
            told = json.loads(line)
            if "error" in told:
                error = told["error"]
            else:
                yield told
        said = child.stderr.read().strip()
    if error is not None:
        raise CtlError(child.returncode, error["code"], error["message"])
    if child.returncode:
        code = "usage" if child.returncode == USAGE else "obeliskd_failed"
        raise CtlError(child.returncode if child.returncode > 0 else 1, code, said.removeprefix("obeliskd: "))
