from pathlib import Path

import pytest
import trustme

from obelisk_config import ManifestError, Surroundings
from obelisk_daemon.offline import Options, check_manifest
from tests.fakes.tokens import holder

pytestmark = pytest.mark.anyio
_, HOLDER = holder("ci", "read")
TEXT = f"""
[daemon]
listen = [{{ address = "0.0.0.0:0", tls = {{ cert = "cert.pem", key = "key.pem" }} }}]
[[token]]
name = "ci"
role = "read"
sha256 = "{HOLDER.sha256}"
"""


async def checked(directory: Path) -> list[str]:
    candidate = await check_manifest(
        Options(directory / "obelisk.toml", Surroundings()), TEXT.encode(), directory / "cache"
    )
    return [one.code for one in candidate.warnings]


async def test_a_check_reads_the_certificate_of_a_listener(tmp_path: Path) -> None:
    with pytest.raises(ManifestError, match=r"obelisk\.toml:3:42: error\[tls_unusable\]: .*cert\.pem can't be read"):
        await checked(tmp_path)
    issued = trustme.CA().issue_cert("obelisk.example")
    issued.cert_chain_pems[0].write_to_path(tmp_path / "cert.pem")
    issued.private_key_pem.write_to_path(tmp_path / "key.pem")
    assert await checked(tmp_path) == []
    trustme.CA().issue_cert("obelisk.example").private_key_pem.write_to_path(tmp_path / "key.pem")
    with pytest.raises(ManifestError, match="no certificate with its key"):
        await checked(tmp_path)
