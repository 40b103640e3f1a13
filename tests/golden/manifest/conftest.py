"""What the operator is told about a manifest: the whole run of checks, in a directory of its own."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from obelisk_config import Diagnostic, ManifestError, Surroundings, check_listeners, draft, render
from obelisk_daemon.deployment.candidate import read_components
from obelisk_daemon.deployment.linking import check_links
from obelisk_daemon.deployment.secrets import read_secrets
from obelisk_daemon.deployment.stubs import read_stubs
from obelisk_daemon.execution.wit_types import FunctionType
from tests.golden.manifest.authoring import COMPONENT, Interface


def host(interface: str, name: str) -> FunctionType | bool:
    return interface == "obelisk:log/log@1.0.0" and name == "info"


Explain = Callable[..., str]


def told(diagnostics: tuple[Diagnostic, ...]) -> str:
    assert all(one.hint for one in diagnostics), "every error says what to do"
    return render(diagnostics)


@pytest.fixture
def explain(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Explain:
    """Write a manifest and two components, a.wasm and b.wasm; give everything the operator is told about them."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "a.wasm").write_bytes(COMPONENT)
    (tmp_path / "b.wasm").write_bytes(COMPONENT)

    def run(
        text: str | bytes,
        *,
        dev: bool = False,
        interfaces: Mapping[str, Interface] | None = None,
        variables: Mapping[str, str] | None = None,
    ) -> str:
        data = text.encode() if isinstance(text, str) else text
        # A state directory of its own: the length of tmp_path must not decide whether a socket's path is too long.
        surroundings = Surroundings({"STATE_DIRECTORY": "/s"})
        try:
            drafted = draft(data, Path("obelisk.toml"), surroundings)
        except ManifestError as error:
            return told(error.diagnostics)
        files, diagnostics = read_components(drafted.manifest, dev=dev)
        given = interfaces or {}
        stubs, untyped = read_stubs(drafted.manifest, files, given)
        links: tuple[Diagnostic, ...] = ()
        if interfaces is not None:
            links = check_links(drafted.manifest, {**given, **stubs}, host, partial=drafted.partial)
        unreadable = () if variables is None else read_secrets(drafted.manifest, variables)[1]
        return told(
            (
                *drafted.diagnostics,
                *check_listeners(drafted.manifest, dev=dev),
                *diagnostics,
                *untyped,
                *links,
                *unreadable,
            )
        )

    return run
