"""The text of a first manifest, for somebody who has component files and nothing else yet."""

from collections.abc import Iterator, Sequence
from typing import Final

import msgspec
import tomli_w

from obelisk_config.model import ComponentKind

_TOP: Final = """\
#:schema ./obelisk.schema.json
# This says what obeliskd runs. `obeliskd check` tells what is wrong with it, `obeliskd` runs it.
# `obeliskd schema > obelisk.schema.json` writes down every other key with its default; editors complete keys from it.
"""
_NEXT: Final[dict[ComponentKind, str]] = {
    "activity": """\
# An activity does the work and is tried again when it fails: set timeout, max_retries and backoff as it needs them.
# It reaches no host until it is allowed to: allowed_hosts = ["https://api.example.com"].
# After a new build its digest is another: `obeliskd check` shows it.
""",
    "workflow": """\
# A workflow calls activities and other workflows, and goes on after a crash where it was.
# What it imports must be exported by a component or [[stub]] of this file: `obeliskd check` tells what is missing.
""",
}
_EMPTY: Final = """\
# Add your components here, each with the SHA-256 of its file:
# [[activity]]
# name = "my-activity"
# path = "components/my_activity.wasm"
# digest = "sha256:..."
"""


class FirstComponent(msgspec.Struct, frozen=True):
    """A component file. `path` starts beside the manifest; `name` must be of the form of names, and no other's."""

    kind: ComponentKind
    name: str
    path: str
    digest: str


def first_manifest(components: Sequence[FirstComponent]) -> str:
    """Write a manifest that runs the components, in their order, with comments that tell what to do next."""
    return "\n".join((_TOP, *_tables(components))) if components else f"{_TOP}\n{_EMPTY}"


def _tables(components: Sequence[FirstComponent]) -> Iterator[str]:
    told: set[ComponentKind] = set()
    for one in components:
        # The header is ours: tomli-w makes one inline array of tables that are short.
        table = tomli_w.dumps({"name": one.name, "path": one.path, "digest": one.digest})
        yield f"{'' if one.kind in told else _NEXT[one.kind]}[[{one.kind}]]\n{table}"
        told.add(one.kind)
