"""The WIT text of our host interfaces is in two places: in the wheel, and beside the examples."""

from pathlib import Path

import pytest

from obelisk_daemon import wit

DEPS = Path(__file__).resolve().parents[2] / "components" / "wit" / "deps"


@pytest.mark.parametrize("package", wit.FILES)
def test_the_shipped_text_is_that_of_the_examples(package: str) -> None:
    assert (DEPS / wit.FILES[package]).read_text() == wit.texts()[package]


@pytest.mark.parametrize("package", wit.FILES)
def test_a_shipped_text_begins_with_its_package(package: str) -> None:
    assert wit.texts()[package].startswith(f"package {package};\n")


def test_every_host_interface_of_the_examples_is_shipped() -> None:
    assert {file.name for file in DEPS.glob("obelisk-*.wit")} == set(wit.FILES.values())
