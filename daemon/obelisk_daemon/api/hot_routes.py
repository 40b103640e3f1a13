"""Which routes have a shortcut: those that are asked once or twice for each execution."""

import re
from typing import Final

import msgspec

from obelisk_daemon.api import batching, executions
from obelisk_daemon.api.batching import Batch, BatchDocument
from obelisk_daemon.api.documents import ExecutionDocument, Submission
from obelisk_daemon.api.services import Services
from obelisk_daemon.api.shortcuts import Asked, Shortcut
from obelisk_daemon.ids import ULID_FORM, parse_execution_id, parse_submitted_id

_ALL: Final = "/v1/executions"
_ONE: Final = "/v1/executions/{execution_id}"


async def _submit_as(services: Services, asked: Asked) -> tuple[int, ExecutionDocument]:
    return await executions.submitted(services, parse_submitted_id(asked.named["id"]), asked.body)


async def _submit_new(services: Services, asked: Asked) -> tuple[int, ExecutionDocument]:
    return await executions.submitted(services, services.ids.execution(), asked.body)


async def _submit_batch(services: Services, asked: Asked) -> tuple[int, BatchDocument]:
    return 200, await batching.submitted(services, asked.body)


async def _result(services: Services, asked: Asked) -> tuple[int, dict[str, object]]:
    wait = float(asked.named["wait"] or 0)
    return await executions.result_of(services, parse_execution_id(asked.named["id"]), wait, asked.receive)


_ONE_ID: Final = f"(?P<id>E_{ULID_FORM})"
_SUBMISSION: Final = msgspec.json.Decoder(Submission)
SHORTCUTS: Final = (
    Shortcut("PUT", re.compile(f"{_ALL}/{_ONE_ID}"), _ONE, executions.submit_as, _SUBMISSION, _submit_as),
    Shortcut("POST", re.compile(_ALL), _ALL, executions.submit_new, _SUBMISSION, _submit_new),
    Shortcut(
        "POST",
        re.compile(f"{_ALL}/batch"),
        f"{_ALL}/batch",
        batching.submit_batch,
        msgspec.json.Decoder(Batch),
        _submit_batch,
    ),
    Shortcut(
        "GET",
        re.compile(rf"{_ALL}/{_ONE_ID}/result(\?wait=(?P<wait>[0-5]?[0-9]|60))?", re.ASCII),
        f"{_ONE}/result",
        executions.result,
        None,
        _result,
    ),
)
