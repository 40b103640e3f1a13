"""The HTTP client behind the guests: httpcore over a network of our own.

The network resolves a name once, checks every address it got, and connects to a checked one: there is no second
look-up for an attacker to answer differently. No redirect, proxy, cookie or netrc is ever followed, since httpcore
knows none of them. Connections are kept and reused only among requests of the same `Reach`: one that was opened for a
component that may use private addresses must not serve one that may not.
"""

import asyncio
import ssl
from collections.abc import AsyncGenerator, AsyncIterable, AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from typing import Any, Final, TypeAlias, cast

import certifi
import httpcore
import msgspec

from obelisk_daemon.wasm.wasi import error_codes
from obelisk_daemon.wasm.wasi.addresses import Reach, address_refusal
from obelisk_daemon.wasm.wasi.egress import Target
from obelisk_daemon.wasm.wasi.error_codes import TRANSPORT_ERRORS, HttpFailure
from obelisk_daemon.wasm.wasi.hosts import is_address
from obelisk_daemon.wasm.wasi.pool import IDLE_SECONDS, Pool
from obelisk_daemon.wasm.wasi.resolver import Resolver, SystemResolver

Headers: TypeAlias = list[tuple[bytes, bytes]]
_SocketOptions: TypeAlias = (
    Iterable[tuple[int, int, int] | tuple[int, int, bytes | bytearray] | tuple[int, int, None, int]] | None
)
_ADDRESSES_TRIED: Final = 4


class Timeouts(msgspec.Struct, frozen=True):
    """Seconds, each for one phase of a request."""

    connect: float
    """For resolving and connecting; the same again for the TLS handshake, and for a free connection."""
    first_byte: float
    """From the request sent to the head of the response."""
    between_bytes: float
    """For each read of the body, and for each write of the request."""


class ClientRequest(msgspec.Struct):
    """A request that the policy has allowed."""

    method: str
    target: Target
    reach: Reach
    path: str
    headers: Headers
    """Without `host`; the framing of the body (`content-length` or `transfer-encoding`) included."""
    body: AsyncIterable[bytes] | bytes
    timeouts: Timeouts

    def __repr__(self) -> str:
        return f"ClientRequest({self.method!r}, {self.target!r})"  # the headers may have secrets


class Response:
    """The head of a response, and its body to be read once."""

    def __init__(self, raw: httpcore.Response) -> None:
        self.status = raw.status
        self.headers: Headers = list(raw.headers)
        self._raw = raw
        # The stream of an asynchronous pool is an asynchronous generator; httpcore's types leave that open.
        self._chunks = cast("AsyncGenerator[bytes]", aiter(cast("AsyncIterable[bytes]", raw.stream)))

    async def read(self) -> bytes:
        """Give the next part of the body, as it comes from the network; nothing at its end.

        Raises:
            HttpFailure: the body was cut off, or nothing came in time.
        """
        try:
            return await anext(self._chunks, b"")
        except TRANSPORT_ERRORS as error:
            raise error_codes.within_body(error) from error

    async def aclose(self) -> None:
        """Give the connection back, or close it when the body was not read to its end."""
        await self._raw.aclose()
        await self._chunks.aclose()


class HttpClient:
    """Sends requests for all guests of the daemon. Close it last."""

    def __init__(
        self,
        *,
        resolver: Resolver | None = None,
        ssl_context: ssl.SSLContext | None = None,
        max_connections: int = 1_000,
    ) -> None:
        self._system_resolver = SystemResolver() if resolver is None else None
        self._resolver = resolver or self._system_resolver
        self._max_connections = max_connections
        self._trust = ssl_context
        """None until something is to be sent: a daemon that sends nothing need not read all certificates."""
        self._pools: dict[Reach, Pool] = {}

    def _pool(self, reach: Reach) -> Pool:
        pool = self._pools.get(reach)
        if pool is None:
            pool = self._pools[reach] = self._new_pool(reach)
        return pool

    def _new_pool(self, reach: Reach) -> Pool:
        assert self._resolver is not None
        network = CheckedNetwork(self._resolver, reach)
        trust = self._trust = self._trust or trusting_system()

        def make(target: Target) -> httpcore.AsyncHTTPConnection:
            origin = httpcore.Origin(target.scheme.encode(), target.host.encode("ascii"), target.port)
            return httpcore.AsyncHTTPConnection(
                origin, ssl_context=trust, keepalive_expiry=IDLE_SECONDS, network_backend=network
            )

        return Pool(make, self._max_connections, max(1, self._max_connections // 4))

    @asynccontextmanager
    async def open(self, request: ClientRequest) -> AsyncIterator[Response]:
        """Send a request and give its response. On leaving, a connection whose body was not read to the end is closed.

        Raises:
            HttpFailure: no response, for a reason that the guest is told of.
        """
        times = {
            "connect": request.timeouts.connect,
            "write": request.timeouts.between_bytes,
            "read": request.timeouts.first_byte,
        }
        pool = self._pool(request.reach)
        connection = await pool.take(request.target, request.timeouts.connect)
        try:
            raw = await _send(connection, request, times)
            times["read"] = request.timeouts.between_bytes  # httpcore looks again when the body is read
            response = Response(raw)
            try:
                yield response
            finally:
                await response.aclose()
        finally:
            await pool.give_back(connection, request.target)

    async def aclose(self) -> None:
        """Close all connections. No request may be under way any more."""
        for pool in self._pools.values():
            await pool.aclose()
        if self._system_resolver is not None:
            self._system_resolver.close()


async def _send(
    connection: httpcore.AsyncConnectionInterface, request: ClientRequest, times: dict[str, float]
) -> httpcore.Response:
    loop = asyncio.get_running_loop()
    try:
        async with asyncio.timeout(None) as head:

            async def follow(event: str, _info: dict[str, Any]) -> None:
                if event == "http11.receive_response_headers.started":
                    head.reschedule(loop.time() + request.timeouts.first_byte)

            raw = _raw_request(request, {"timeout": times, "trace": follow})
            return await connection.handle_async_request(raw)
    except TimeoutError as error:
        raise HttpFailure("HTTP_response_timeout", "the server sent no response in time") from error
    except httpcore.ReadTimeout as error:
        raise HttpFailure("HTTP_response_timeout", "the server sent no response in time") from error
    except TRANSPORT_ERRORS as error:
        raise error_codes.before_response(error) from error


def _raw_request(request: ClientRequest, extensions: dict[str, Any]) -> httpcore.Request:
    target = request.target
    url = httpcore.URL(scheme=target.scheme, host=target.host, port=target.port, target=request.path)
    headers = [(b"host", target.authority.encode("ascii")), *request.headers]
    return httpcore.Request(request.method, url, headers=headers, content=request.body, extensions=extensions)


class CheckedNetwork(httpcore.AsyncNetworkBackend):
    """Connects to checked addresses only."""

    def __init__(self, resolver: Resolver, reach: Reach) -> None:
        self._resolver = resolver
        self._reach = reach
        self._connector = httpcore.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,
        local_address: str | None = None,
        socket_options: _SocketOptions = None,
    ) -> httpcore.AsyncNetworkStream:
        """Resolve, check every address, and connect to the first that answers."""
        try:
            async with asyncio.timeout(timeout):
                addresses = [host] if is_address(host) else await self._resolver(host, port)
        except TimeoutError as error:
            raise HttpFailure("DNS_timeout", f"{host} was not resolved in time") from error
        self._check(host, addresses)
        connect = partial(self._connector.connect_tcp, local_address=local_address, socket_options=socket_options)
        try:
            async with asyncio.timeout(timeout):
                return await _first_connection(addresses[:_ADDRESSES_TRIED], port, connect)
        except TimeoutError as error:
            raise HttpFailure("connection_timeout", f"{host}:{port} did not answer in time") from error

    def _check(self, host: str, addresses: Sequence[str]) -> None:
        """Refuse a name as soon as one of its addresses is refused: it is misconfigured, or an attack."""
        if not addresses:
            raise HttpFailure({"DNS_error": {"rcode": None, "info_code": None}}, f"{host} has no address")
        for address in addresses:
            refusal = address_refusal(address, self._reach)
            if refusal is not None:
                raise HttpFailure("destination_IP_prohibited", f"{host}: {refusal}")

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ARG002 - the interface of httpcore
        socket_options: _SocketOptions = None,  # noqa: ARG002
    ) -> httpcore.AsyncNetworkStream:
        """Refuse: no guest may name a socket of this machine."""
        raise HttpFailure("HTTP_request_denied", f"unix socket {path} refused")

    async def sleep(self, seconds: float) -> None:
        """Wait between tries of httpcore, which is told to make none."""
        await asyncio.sleep(seconds)


async def _first_connection(
    addresses: Sequence[str], port: int, connect: Callable[..., Any]
) -> httpcore.AsyncNetworkStream:
    *others, last = addresses
    for address in others:
        try:
            return await connect(address, port)  # type: ignore[no-any-return]
        except httpcore.ConnectError:
            continue
    return await connect(last, port)  # type: ignore[no-any-return]


def trusting_system() -> ssl.SSLContext:
    """Trust what the machine trusts, or certifi's collection on a machine that has none."""
    paths: Any = ssl.get_default_verify_paths()  # its members are None where nothing is there
    has_own = paths.cafile is not None or (paths.capath is not None and any(Path(paths.capath).iterdir()))
    return ssl.create_default_context(cafile=None if has_own else certifi.where())
