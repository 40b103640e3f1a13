"""The guests that tests run: where they are, their digests, and their entries in a manifest.

The small ones, in WAT, are committed. The Python and JavaScript ones are built by `make components`; a test that asks
for one that isn't there is skipped, or fails where `OBELISK_REQUIRE_GUESTS` is set, as it is in CI.
"""

import importlib
import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Final

import pytest

# By name, since a type checker takes `components.build` for the directory with the results.
build: Final = importlib.import_module("components.build")
COMPONENTS: Final = {component.name: component for component in build.COMPONENTS}


def path(name: str) -> Path:
    """Return the file of a component, named as `components/build.py` names it.

    Raises:
        KeyError: There is no such component.
    """
    file: Path = COMPONENTS[name].output
    if file.is_file():
        return file
    message = f"the guest {name} is not built: make components"
    if os.environ.get("OBELISK_REQUIRE_GUESTS"):
        pytest.fail(message)
    pytest.skip(message, allow_module_level=True)


def digest(name: str) -> str:
    """Return `sha256:<hex>` of a component's bytes, as they are on disk now."""
    return str(build.digest(path(name)))


def manifest_entry(name: str, /, **settings: object) -> str:
    """Return the `[[activity]]` or `[[workflow]]` table of a component, as TOML.

    `settings` are further keys, or other values for `name`, `path` and `digest`; None leaves a key out. More tables of
    the component, such as `[activity.functions."..."]`, may be written after it.
    """
    keys = {"name": name, "path": str(path(name)), "digest": digest(name)} | settings
    lines = [f"{key} = {_toml(value)}\n" for key, value in keys.items() if value is not None]
    return f"[[{COMPONENTS[name].kind}]]\n{''.join(lines)}"


def _toml(value: object) -> str:
    """Write a value on one line; text, numbers and booleans are the same in JSON."""
    if isinstance(value, Mapping):
        return "{ " + ", ".join(f"{json.dumps(key)} = {_toml(item)}" for key, item in value.items()) + " }"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_toml(item) for item in value) + "]"
    return json.dumps(value, ensure_ascii=False, default=str)
