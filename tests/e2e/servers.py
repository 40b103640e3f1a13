"""Servers on loopback: httpbin in a process of its own, and one in a thread that sends back what it gets.

This httpbin has two endpoints more that remember how often they were asked.
"""

import subprocess
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
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


class Mirror(ThreadingHTTPServer):
    """Answers with the headers of the request, as headers and as a body; `/STATUS` asks for a status.

    `/broken-head` and `/broken-body` have them in an answer that is no HTTP.
    """

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Reflection)
        self.url = f"http://127.0.0.1:{self.server_address[1]}"
        self.received: list[list[tuple[str, str]]] = []
        """The headers of every request."""


class _Reflection(BaseHTTPRequestHandler):
    server: Mirror

    def do_GET(self) -> None:
        self.server.received.append(self.headers.items())
        lines = [f"{name}: {value}" for name, value in self.headers.items()]
        body, told = "\r\n".join(lines).encode("latin-1"), "; ".join(lines).encode("latin-1")
        if self.path == "/broken-head":
            self.wfile.write(b"HTTP/1.1 200 OK\r\nno header " + told + b"\r\n\r\n")
            return
        if self.path == "/broken-body":
            self.wfile.write(b"HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nno chunk " + told + b"\r\n")
            return
        self.send_response(int(self.path[1:]))
        for line in lines:
            self.send_header("x-reflected", line)
        self.send_header("content-length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        pass


@contextmanager
def mirror() -> Iterator[Mirror]:
    """Run it until the block is left."""
    with Mirror() as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        try:
            yield server
        finally:
            server.shutdown()
            thread.join()
