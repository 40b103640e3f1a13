"""What every test may use."""

import pytest
from hypothesis import settings


@pytest.fixture(scope="session")
def anyio_backend() -> str:
    return "asyncio"


# No deadline: how long an example takes says more about what else the machine does.
settings.register_profile("obelisk", deadline=None)
settings.load_profile("obelisk")
