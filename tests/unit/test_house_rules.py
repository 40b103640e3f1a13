"""The house rules that a machine can keep: sizes, names, and addresses that must not be in a file."""

import ast
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
SOURCES = sorted([*ROOT.glob("daemon/**/*.py"), *ROOT.glob("config/**/*.py"), *ROOT.glob("tests/**/*.py")])
PRODUCT = [file for file in SOURCES if "tests" not in file.relative_to(ROOT).parts]
MAX_LINES, MAX_FUNCTION_LINES, MAX_PARAMETERS = 400, 60, 5
VAGUE = {"manager", "helper", "helpers", "util", "utils", "common", "base", "misc"}


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


def functions_of(file: Path) -> Iterator[ast.FunctionDef | ast.AsyncFunctionDef]:
    for node in ast.walk(ast.parse(file.read_text())):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


@pytest.mark.parametrize("file", SOURCES, ids=name_of)
def test_a_module_has_at_most_400_lines(file: Path) -> None:
    assert len(file.read_text().splitlines()) <= MAX_LINES


@pytest.mark.parametrize("file", PRODUCT, ids=name_of)
def test_a_function_has_at_most_60_lines(file: Path) -> None:
    long = [f.name for f in functions_of(file) if (f.end_lineno or 0) - f.lineno + 1 > MAX_FUNCTION_LINES]
    assert not long


@pytest.mark.parametrize("file", PRODUCT, ids=name_of)
def test_a_function_has_at_most_5_positional_parameters_beside_self(file: Path) -> None:
    # the signature of a decorated function is its decorator's: a C callback, a command line
    many = [
        f.name
        for f in functions_of(file)
        if not f.decorator_list
        and len([a for a in (*f.args.posonlyargs, *f.args.args) if a.arg not in ("self", "cls")]) > MAX_PARAMETERS
    ]
    assert not many


@pytest.mark.parametrize("file", PRODUCT, ids=name_of)
def test_a_module_name_says_what_is_in_it(file: Path) -> None:
    assert file.stem not in VAGUE


def test_no_file_names_the_host_of_a_package_registry() -> None:
    hosts = re.compile(
        "|".join(
            [r"files\.python" + r"hosted", r"registry\.npm" + r"js", r"py" + r"pi\.org/simple", r"deb\.deb" + "ian"]
        )
    )
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    naming = [
        name
        for name in tracked.splitlines()
        if (ROOT / name).is_file() and hosts.search((ROOT / name).read_bytes().decode(errors="replace"))
    ]
    assert not naming
