"""What the tests against hostile guests and servers use of the others."""

from tests.integration.wasi.conftest import authority, client, client_tls, names

__all__ = ["authority", "client", "client_tls", "names"]
