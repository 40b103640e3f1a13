"""Secrets from the manifest to the plan, with a real component."""

from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from obelisk_config import ManifestError, Surroundings
from obelisk_daemon.deployment.checking import Candidate, check
from obelisk_daemon.deployment.planning import plan_generation
from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.wasi.egress import Target
from tests import guests

pytestmark = pytest.mark.anyio

FIBO = "testing:fibo/fibo.fibo"
VALUE = "s3cr3t-value-0001"
SECRETS = '[secrets]\nkey = { env = "KEY" }\nother = { env = "OTHER" }\n'
FAULTS = "testing:faults/faults.trap"
HOSTS = [
    {"host": "https://a.example", "secrets": ["other", "key"]},
    {"host": "https://b.example", "secrets": ["key"]},
    "https://c.example",
]


@pytest.fixture
async def compiler(tmp_path: Path) -> AsyncIterator[Compiler]:
    engines = Engines()
    yield Compiler(engines, tmp_path / "cache")
    engines.close()


async def checked(compiler: Compiler, need_secrets: bool = True, **variables: str) -> Candidate:
    text = SECRETS + guests.manifest_entry("fibo-activity", allowed_hosts=HOSTS)
    text += guests.manifest_entry("faults", allowed_hosts=HOSTS[1:])
    surroundings = Surroundings(variables)
    return await check(text.encode(), Path("/obelisk.toml"), surroundings, compiler, need_secrets=need_secrets)


async def test_a_plan_has_the_secrets_of_its_component_and_each_host_those_that_it_names(compiler: Compiler) -> None:
    candidate = await checked(compiler, KEY=VALUE, OTHER="another value")
    functions = plan_generation(candidate, 1).functions
    planned = functions[FIBO].component
    assert [(one.name, one.variable, one.reveal()) for one in planned.secrets] == [
        ("key", "KEY", VALUE.encode()),
        ("other", "OTHER", b"another value"),
    ]
    assert [one.name for one in functions[FAULTS].component.secrets] == ["key"]
    named = [planned.egress.secrets_for("GET", Target("https", f"{host}.example", 443)) for host in "abcd"]
    assert named == [{"key", "other"}, {"key"}, set(), set()]


async def test_no_value_is_in_what_identifies_or_shows_a_candidate_or_a_plan(compiler: Compiler) -> None:
    candidate = await checked(compiler, KEY=VALUE, OTHER="another value")
    other = await checked(compiler, KEY=f"{VALUE}-new", OTHER="another value")
    assert candidate.content_hash == other.content_hash
    planned = plan_generation(candidate, 1).functions[FIBO].component
    for text in (repr(candidate), repr(planned), repr(candidate.manifest)):
        assert VALUE not in text
    assert VALUE.encode() not in candidate.source
    with pytest.raises(TypeError):
        msgspec.json.encode(planned.secrets)


async def test_a_daemon_needs_every_value_and_a_check_does_not(compiler: Compiler) -> None:
    with pytest.raises(ManifestError) as refused:
        await checked(compiler, KEY=VALUE)
    assert [(one.code, one.severity) for one in refused.value.diagnostics] == [("missing_secret", "error")]
    candidate = await checked(compiler, need_secrets=False, KEY=VALUE)
    assert [(one.code, one.severity) for one in candidate.warnings] == [("missing_secret", "warning")]
    assert list(candidate.secrets) == ["key"]
