"""Whatever the bytes are, the answer is a draft or a ManifestError: nothing else is raised."""

import contextlib
from pathlib import Path
from typing import Any

from hypothesis import given
from hypothesis import strategies as st

from obelisk_config import ManifestError, draft, render
from obelisk_config.example import example
from tests.unit.config.generated import KEYS, text_with, values

EXAMPLE = example().encode()
FILE = Path("/etc/obelisk.toml")


def read(data: bytes) -> None:
    with contextlib.suppress(ManifestError):
        drafted = draft(data, FILE)
        assert render(drafted.diagnostics)
        for diagnostic in drafted.diagnostics:
            assert diagnostic.hint, diagnostic
            assert diagnostic.span.line >= 1


@given(st.sampled_from(KEYS), values)
def test_any_value_of_any_key_is_taken_or_reported(path: tuple[str, ...], value: Any) -> None:
    read(text_with(path, value).encode(errors="surrogatepass"))


@given(st.integers(0, len(EXAMPLE)), st.integers(0, 40), st.binary(max_size=6))
def test_a_damaged_manifest_is_taken_or_reported(start: int, length: int, inserted: bytes) -> None:
    read(EXAMPLE[:start] + inserted + EXAMPLE[start + length :])


def test_every_beginning_of_a_manifest_is_taken_or_reported() -> None:
    for end in range(0, len(EXAMPLE), 7):
        read(EXAMPLE[:end])
