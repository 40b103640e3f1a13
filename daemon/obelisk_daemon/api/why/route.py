"""`/v1/executions/{id}/why`."""

from typing import Final

from litestar import get

from obelisk_daemon.api.documents import WhyDocument
from obelisk_daemon.api.problems import PROBLEMS
from obelisk_daemon.api.requests import ApiRequest, Id, services_of
from obelisk_daemon.api.why.gathering import explained
from obelisk_daemon.ids import parse_execution_id


@get("/executions/{execution_id:str}/why", responses=PROBLEMS, summary="Say why an execution does not run")
async def why(request: ApiRequest, execution_id: Id) -> WhyDocument:
    """Give the reasons, the nearest first, with commands that would help.

    Of a workflow that waits for a child, the child's own reasons follow, and those of its child, down to the last one.
    """
    return await explained(services_of(request), parse_execution_id(execution_id))


ROUTES: Final = (why,)
