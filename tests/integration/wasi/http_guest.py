"""A guest without wasm that speaks wasi:http."""

from tests.unit.wasi.fakes import FakeGuest

CHUNK = 65_536


class HttpGuest(FakeGuest):
    """Uses wasi:http step by step, as a guest's library does."""

    def request(self, url: str, *, method="get", headers=()) -> int:
        scheme, _, rest = url.partition("://")
        authority, _, path = rest.partition("/")
        fields = self.call("http/types.[static]fields.from-list", list(headers))["ok"]
        request = self.call("http/types.[constructor]outgoing-request", fields)
        for name, value in (
            ("method", method),
            ("scheme", scheme.upper()),
            ("authority", authority),
            ("path-with-query", "/" + path),
        ):
            self.call(f"http/types.[method]outgoing-request.set-{name}", request, value)
        return request

    async def handle(self, request: int):
        return await self.wait("http/outgoing-handler.handle", request, None)

    async def send(self, url: str, **parts) -> int:
        return (await self.handle(self.request(url, **parts)))["ok"]

    async def response(self, future: int):
        pollable = self.call("http/types.[method]future-incoming-response.subscribe", future)
        await self.wait("io/poll.[method]pollable.block", pollable)
        self.table.drop(pollable)
        return self.call("http/types.[method]future-incoming-response.get", future)

    def stream(self, response: int) -> tuple[int, int]:
        body = self.call("http/types.[method]incoming-response.consume", response)["ok"]
        return body, self.call("http/types.[method]incoming-body.stream", body)["ok"]

    async def read_all(self, stream: int) -> tuple[bytes, object]:
        """Give the bytes and how they ended."""
        data = b""
        while True:
            part = await self.wait("io/streams.[method]input-stream.blocking-read", stream, CHUNK)
            if "err" in part:
                return data, part["err"]
            data += part["ok"]

    async def fetch(self, url: str, **parts) -> tuple[int, bytes, object]:
        response = (await self.response(await self.send(url, **parts)))["ok"]["ok"]
        status = self.call("http/types.[method]incoming-response.status", response)
        return status, *await self.read_all(self.stream(response)[1])

    def end(self) -> None:
        self.table.clear()
