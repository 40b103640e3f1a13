"""Look for new paths through a target for hours: `python -m tests.fuzz TARGET [CORPUS] [-max_total_time=SECONDS]`.

Needs `atheris`, which has wheels for Python 3.11 on Linux and is no part of our environment: pip install it beside. The
corpus is a directory that grows; what is after the target goes to libFuzzer. An input that fails is written to a file
`crash-...`: `python -m tests.fuzz TARGET crash-...` runs it again.
"""

import sys

import atheris

with atheris.instrument_imports(include=["obelisk_daemon", "obelisk_config"]):
    from tests.fuzz.targets import TARGETS


def main() -> None:
    """Fuzz one target."""
    if len(sys.argv) < 2 or sys.argv[1] not in TARGETS:
        sys.exit(f"python -m tests.fuzz TARGET [CORPUS...] [-max_total_time=SECONDS]; targets: {', '.join(TARGETS)}")
    target = TARGETS[sys.argv.pop(1)]
    atheris.Setup(sys.argv, target)
    atheris.Fuzz()


if __name__ == "__main__":
    main()
