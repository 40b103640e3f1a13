"""Each promise names tests that are there."""

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "guarantees.md").read_text()
NAMED = re.findall(r"`(tests/[\w/.]+)::(\w+)`", PAGE)
PROMISES = re.findall(r"^\* .*?(?=^\* |^#|\Z)", PAGE.partition("## What is not promised")[0], re.MULTILINE | re.DOTALL)


@pytest.mark.parametrize(("file", "name"), NAMED, ids=[name for _, name in NAMED])
def test_a_test_that_a_promise_names_is_there(file: str, name: str) -> None:
    tree = ast.parse((ROOT / file).read_text())
    assert name in {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}


@pytest.mark.parametrize("promise", PROMISES)
def test_a_promise_names_a_test(promise: str) -> None:
    assert "::test_" in promise


def test_the_readme_leads_to_the_page() -> None:
    assert "(docs/guarantees.md)" in (ROOT / "README.md").read_text()
    assert len(PROMISES) > 40
