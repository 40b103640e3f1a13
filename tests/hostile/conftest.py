"""What the tests against hostile guests and servers use of the others."""

from tests.e2e.conftest import artifacts
from tests.integration.wasi.conftest import authority, client, client_tls, names

__all__ = ["artifacts", "authority", "client", "client_tls", "names"]
