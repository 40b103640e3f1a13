"""`/` and `/ui/...`: the web UI's files. They hold no data, so they need no token."""

from typing import Final

from litestar import Response, get
from litestar.params import FromPath

from obelisk_daemon.api.requests import MAX_NAME, ApiRequest
from obelisk_daemon.api.ui.files import START, File
from obelisk_daemon.errors import NotFoundError

_CACHE: Final = "no-cache"
"""A browser may keep a file, and asks by its tag whether it is still the one."""


@get("/", include_in_schema=False)
async def start_page(request: ApiRequest) -> Response[bytes]:
    """Serve the page."""
    return _served(request, START)


@get("/ui/{name:str}", include_in_schema=False)
async def ui_file(request: ApiRequest, name: FromPath[str]) -> Response[bytes]:
    """Serve a file that the page loads.

    Raises:
        NotFoundError: `no_such_file`.
    """
    return _served(request, name)


def _served(request: ApiRequest, name: str) -> Response[bytes]:
    files: dict[str, File] = request.app.state.ui_files
    file = files.get(name)
    if file is None:
        raise NotFoundError("no_such_file", f"the web UI has no file {name[:MAX_NAME]!r}")
    headers = {"cache-control": _CACHE, "etag": file.etag}
    if file.etag in request.headers.get("if-none-match", ""):
        return Response(b"", status_code=304, headers=headers)
    return Response(file.content, media_type=file.media_type, headers=headers)


ROUTES: Final = (start_page, ui_file)
