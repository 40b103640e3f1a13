"""The wheel, as a user gets it: `packaging.py BIN CHECKOUT` runs the main job with the commands in BIN.

It imports nothing of the project, and works in a directory of its own.
"""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path


def main() -> None:
    """Start the installed daemon on the WAT example, submit, and stop it."""
    commands, checkout = Path(sys.argv[1]).resolve(), Path(sys.argv[2]).resolve()
    with tempfile.TemporaryDirectory(prefix="obelisk-wheel-") as scratch:
        directory = Path(scratch)
        manifest = directory / "obelisk.toml"
        manifest.write_text(
            "".join(
                f'[[{kind}]]\nname = "{kind}"\npath = "{checkout}/components/fibo-wat/fibo-{kind}.wasm"\n'
                for kind in ("activity", "workflow")
            )
        )
        environment = {**os.environ, "OBELISK_URL": f"unix:{directory}/api.sock"}
        daemon = subprocess.Popen(
            [commands / "obeliskd", "--manifest", manifest, "--dev", "--listen", f"unix:{directory}/api.sock"],
            cwd=directory,
        )
        try:
            control(commands, environment, "status", "--wait", "30s")
            answer = control(commands, environment, "submit", ".../workflow.fiboa", "[10, 20]", "--wait", "--json")
            assert json.loads(answer)["result"] == {"ok": 55}, answer
            text = control(commands, environment, "wit", "--extensions")
            assert "fibo-submit: func(" in text, text
            assert "package obelisk:types@5.0.0 {" in text, text
        finally:
            daemon.terminate()
        assert daemon.wait(30) == 0
        read = "from obelisk_daemon.api.ui.files import read_files; print(*read_files())"
        files = subprocess.check_output([commands / "python", "-c", read], cwd=directory, text=True).split()
        assert {"index.html", "main.js", "style.css"} <= set(files), files
    version = subprocess.check_output([commands / "obeliskd", "--version"], text=True).strip()
    print(f"{version}: the wheel runs the main job")


def control(commands: Path, environment: dict[str, str], *arguments: str) -> str:
    """Run the installed `obelisk-ctl`."""
    return subprocess.check_output([commands / "obelisk-ctl", *arguments], env=environment, text=True)


if __name__ == "__main__":
    main()
