"""https: the certificate, the least version, names in the Host header, and files that change."""

import asyncio
import logging
import ssl
from collections.abc import AsyncIterator
from pathlib import Path
from typing import NamedTuple

import httpx
import pytest
import trustme

from obelisk_config import Tls
from obelisk_daemon.api.certificates import Certificate
from obelisk_daemon.api.listeners import TcpListener
from obelisk_daemon.api.server import ApiServer
from obelisk_daemon.errors import OperatorError
from tests.fakes.api import FakeWorld
from tests.fakes.serving import access, ctl
from tests.fakes.tokens import holder

pytestmark = pytest.mark.anyio
TOKEN, HOLDER = holder("ci", "read")
BEARER = {"authorization": f"Bearer {TOKEN}"}
NAME = "obelisk.example"


class Authority(NamedTuple):
    """Makes certificates, and writes them where a listener reads them."""

    made: trustme.CA
    files: Tls

    def issue(self) -> str:
        """Write another certificate, first the one file and then the other; give its serial number."""
        issued = self.made.issue_cert(NAME, "127.0.0.1", "localhost")
        Path(self.files.cert).write_bytes(b"".join(blob.bytes() for blob in issued.cert_chain_pems))
        Path(self.files.key).write_bytes(issued.private_key_pem.bytes())
        return fingerprint(ssl.PEM_cert_to_DER_cert(issued.cert_chain_pems[0].bytes().decode()))

    @property
    def trusting(self) -> ssl.SSLContext:
        context = ssl.create_default_context()
        self.made.configure_trust(context)
        return context


def fingerprint(der: bytes) -> str:
    return der.hex()[-40:]


@pytest.fixture(scope="module")
def ca() -> trustme.CA:
    return trustme.CA()


@pytest.fixture
def authority(ca: trustme.CA, tmp_path: Path) -> Authority:
    return Authority(ca, Tls(str(tmp_path / "cert.pem"), str(tmp_path / "key.pem")))


class Https(NamedTuple):
    server: ApiServer
    port: int
    first: str

    @property
    def certificate(self) -> Certificate:
        found = self.server._acceptors[0].certificate
        assert found is not None
        return found


@pytest.fixture
async def https(world: FakeWorld, authority: Authority) -> AsyncIterator[Https]:
    first = authority.issue()
    listener = TcpListener("127.0.0.1", 0, authority.files, hosts=frozenset([NAME]))
    server = ApiServer(world.services(), [listener], access(HOLDER))
    await server.start()
    yield Https(server, int(server.addresses[0].rpartition(":")[2]), first)
    await server.stop()


async def presented(port: int, context: ssl.SSLContext) -> str:
    """Connect and give which certificate the server shows."""
    _, writer = await asyncio.open_connection("127.0.0.1", port, ssl=context)
    shown = writer.get_extra_info("ssl_object").getpeercert(binary_form=True)
    writer.close()
    return fingerprint(shown)


async def test_it_answers_over_https_and_takes_its_own_origin_only(https: Https, authority: Authority) -> None:
    async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{https.port}", verify=authority.trusting) as client:
        for host, origin, status in [
            (f"127.0.0.1:{https.port}", f"https://127.0.0.1:{https.port}", 200),
            (NAME, f"https://{NAME}", 200),
            (NAME, f"http://{NAME}", 403),
            ("other.example", "https://other.example", 403),
        ]:
            answer = await client.get("/v1/me", headers={**BEARER, "host": host, "origin": origin})
            assert answer.status_code == status, host
        assert (await client.get("/v1/me")).status_code == 401


async def test_who_speaks_plain_http_or_an_old_tls_is_not_answered(https: Https, authority: Authority) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", https.port)
    writer.write(b"GET /v1/healthz HTTP/1.1\r\nHost: localhost\r\n\r\n")
    assert b"HTTP" not in await reader.read()
    writer.close()
    old = authority.trusting
    old.set_ciphers("ALL:@SECLEVEL=0")
    with pytest.warns(DeprecationWarning, match="TLSv1"):
        old.minimum_version, old.maximum_version = ssl.TLSVersion.TLSv1, ssl.TLSVersion.TLSv1_1
    with pytest.raises(OSError):  # noqa: PT011 - it is reset, or told so before
        await presented(https.port, old)
    assert await presented(https.port, authority.trusting) == https.first


async def test_a_new_certificate_is_shown_to_new_connections_and_old_ones_go_on(
    https: Https, authority: Authority
) -> None:
    async with httpx.AsyncClient(base_url=f"https://127.0.0.1:{https.port}", verify=authority.trusting) as client:
        assert (await client.get("/v1/me", headers=BEARER)).status_code == 200
        second = authority.issue()
        https.certificate.refresh()
        assert await presented(https.port, authority.trusting) == https.first
        https.certificate.refresh()
        assert await presented(https.port, authority.trusting) == second != https.first
        assert (await client.get("/v1/me", headers=BEARER)).status_code == 200


async def test_a_pair_that_does_not_fit_leaves_the_one_before_and_is_logged_once(
    https: Https, authority: Authority, caplog: pytest.LogCaptureFixture
) -> None:
    before = Path(authority.files.key).read_bytes()
    second = authority.issue()
    after = Path(authority.files.key).read_bytes()
    Path(authority.files.key).write_bytes(before)
    with caplog.at_level(logging.WARNING):
        for _ in range(4):
            https.certificate.refresh()
        assert await presented(https.port, authority.trusting) == https.first
        assert [record.levelname for record in caplog.records] == ["ERROR"]
        assert "no certificate with its key" in caplog.text
        Path(authority.files.key).unlink()
        for _ in range(3):
            https.certificate.refresh()
        assert await presented(https.port, authority.trusting) == https.first
        Path(authority.files.key).write_bytes(after)
        for _ in range(2):
            https.certificate.refresh()
    assert await presented(https.port, authority.trusting) == second


async def test_a_server_without_its_certificate_does_not_start(world: FakeWorld, authority: Authority) -> None:
    server = ApiServer(world.services(), [TcpListener("127.0.0.1", 0, authority.files)], access(HOLDER))
    with pytest.raises(OperatorError, match=r"cert\.pem can't be read: No such file") as caught:
        await server.start()
    assert caught.value.code == "tls_unusable"
    assert server.addresses == ()


def test_a_key_with_a_password_asks_nobody_for_it(authority: Authority) -> None:
    authority.issue()
    Path(authority.files.key).write_text(ENCRYPTED)
    with pytest.raises(OperatorError, match="no certificate with its key"):
        Certificate(authority.files)


async def test_ctl_trusts_the_certificates_of_a_file(https: Https, authority: Authority, tmp_path: Path) -> None:
    token, ca_file = tmp_path / "token", tmp_path / "ca.pem"
    token.write_text(TOKEN)
    authority.made.cert_pem.write_to_path(ca_file)
    url = ("--url", f"https://localhost:{https.port}", "--token-file", str(token))
    assert (await asyncio.to_thread(ctl, *url, "status", "--ca-file", str(ca_file))).code == 0
    for more, code, said in (
        ((), 69, "no daemon answers"),
        (("--ca-file", str(tmp_path / "nowhere")), 65, "no certificates to trust"),
        (("--ca-file", str(token)), 65, "no certificates to trust"),
    ):
        run = await asyncio.to_thread(ctl, *url, "status", *more)
        assert (run.code, said in run.err) == (code, True), run.err


ENCRYPTED = """-----BEGIN ENCRYPTED PRIVATE KEY-----
MIGbMFcGCSqGSIb3DQEFDTBKMCkGCSqGSIb3DQEFDDAcBAjJx5m2tVYyaQICCAAw
DAYIKoZIhvcNAgkFADAdBglghkgBZQMEASoEEKoZw1Y1Xo9zqzq7r6J2k3MEQAAA
-----END ENCRYPTED PRIVATE KEY-----
"""
