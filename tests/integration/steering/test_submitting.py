"""What a submission is answered with."""

import pytest

from tests import guests
from tests.fakes.api import execution_id
from tests.integration.steering.conftest import Start
from tests.integration.steering.manifests import APPROVAL, APPROVE

pytestmark = pytest.mark.anyio
ID = execution_id()


@pytest.mark.parametrize(
    "call",
    [
        {"ffqn": APPROVE, "params": [7]},
        {"ffqn": "faults.echo-text", "params": ["x"], "due_in": "1h"},
        {
            "ffqn": "faults.echo-text",
            "params": ["x"],
            "due_at": "2100-01-01T00:00:00Z",
            "labels": ["gpu", "eu"],
            "priority": 7,
            "tags": {"order": "1"},
        },
    ],
)
async def test_a_new_execution_is_described_as_it_is_shown_afterwards(start: Start, call: dict[str, object]) -> None:
    async with start(f"{APPROVAL}\n{guests.manifest_entry('faults')}") as daemon:
        answer = await daemon.http.put(f"/v1/executions/{ID}", json=call)
        assert (answer.status_code, answer.json()) == (201, await daemon.show(ID))
