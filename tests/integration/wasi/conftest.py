"""Real sockets, real guests."""

import socket
import ssl
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
import trustme

from obelisk_daemon.wasm.compile import Compiler
from obelisk_daemon.wasm.engine import Engines
from obelisk_daemon.wasm.wasi.client import HttpClient
from tests.integration.wasi.servers import httpbin


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def server_tls(authority: trustme.CA) -> ssl.SSLContext:
    """What a server called secure.test shows."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("secure.test").configure_cert(context)
    return context


@pytest.fixture
def client_tls(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


class Names:
    """A resolver whose answers the test chooses."""

    def __init__(self) -> None:
        self.answers: dict[str, list[str]] = {}
        self.asked: list[str] = []

    async def __call__(self, host: str, _port: int) -> list[str]:
        self.asked.append(host)
        return self.answers[host]


@pytest.fixture
def names() -> Names:
    return Names()


@pytest.fixture
async def client(names: Names, client_tls: ssl.SSLContext) -> AsyncIterator[HttpClient]:
    client = HttpClient(resolver=names, ssl_context=client_tls)
    yield client
    await client.aclose()


@pytest.fixture(scope="session")
def httpbin_port() -> Iterator[int]:
    with httpbin() as port:
        yield port


@pytest.fixture(scope="session")
def engines() -> Iterator[Engines]:
    engines = Engines()
    yield engines
    engines.close()


@pytest.fixture
def compiler(engines: Engines, artifacts: Path) -> Compiler:
    """Compiling the big guests takes many seconds, so they are kept in `artifacts`."""
    return Compiler(engines, artifacts)


@pytest.fixture
def unused_port() -> Iterator[int]:
    """A port of loopback where nobody listens, and nobody else can for as long as the test runs."""
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        yield unused.getsockname()[1]
