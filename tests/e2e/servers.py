"""httpbin on loopback, in a process of its own, with two endpoints more that remember how often they were asked."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

_SERVER: Final = """
import threading
from collections import Counter
from httpbin import app
from werkzeug.serving import make_server
from werkzeug.wrappers import Response

asked, patience = Counter(), threading.Event()

def answer(environ, start_response):
    path = environ["PATH_INFO"]
    kind, _, key = path[1:].partition("/")
    if kind not in ("fails-once", "stalls-once", "asked"):
        return app(environ, start_response)
    if kind == "asked":
        return Response(str(asked["/" + key]))(environ, start_response)
    asked[path] += 1
    if asked[path] > 1:
        return Response("at last")(environ, start_response)
    if kind == "stalls-once":
        patience.wait(60)
    return Response("not yet", 500)(environ, start_response)

server = make_server("127.0.0.1", 0, answer, threaded=True)
print(server.server_port, flush=True)
server.serve_forever()
"""


@contextmanager
def httpbin() -> Iterator[str]:
    """Run it until the block is left; give its URL.

    `/fails-once/KEY` answers 500 first and 200 then; `/stalls-once/KEY` answers nothing first; `/asked/PATH` tells how
    often one of these was asked.
    """
    command = [sys.executable, "-W", "ignore", "-c", _SERVER]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL) as process:
        assert process.stdout is not None
        try:
            yield f"http://127.0.0.1:{int(process.stdout.readline())}"
        finally:
            process.kill()
