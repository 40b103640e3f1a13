"""The WIT text of our host interfaces, as it is shipped: `components/wit/deps` links to these files."""

import functools
from collections.abc import Mapping
from importlib import resources
from types import MappingProxyType
from typing import Final

FILES: Final[Mapping[str, str]] = MappingProxyType(
    {
        "obelisk:types@5.0.0": "obelisk-types.wit",
        "obelisk:log@1.0.0": "obelisk-log.wit",
        "obelisk:workflow@6.0.0": "obelisk-workflow.wit",
    }
)
"""By package."""


@functools.cache
def texts() -> Mapping[str, str]:
    """Give the text of each package, with a header of its own."""
    folder = resources.files(__name__)
    return MappingProxyType({package: (folder / file).read_text("utf-8") for package, file in FILES.items()})
