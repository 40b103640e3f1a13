"""Ways to an address that is not to be reached, over the real egress code, a resolver that lies and real servers."""

import gzip
from collections.abc import AsyncIterator

import pytest

from obelisk_daemon.wasm.wasi.addresses import Reach
from obelisk_daemon.wasm.wasi.client import CheckedNetwork
from obelisk_daemon.wasm.wasi.context import HttpLimits
from obelisk_daemon.wasm.wasi.egress import EgressPolicy, parse_allowed_host
from obelisk_daemon.wasm.wasi.error_codes import HttpFailure
from tests.integration.wasi.conftest import Names
from tests.integration.wasi.http_guest import HttpGuest
from tests.integration.wasi.servers import Scripted, always, answer, scripted

pytestmark = pytest.mark.anyio
PROHIBITED = {"err": "destination_IP_prohibited"}
NO_AUTHORITY = {"err": "HTTP_request_URI_invalid"}


class Attacker(HttpGuest):
    """A guest that may ask any host, as long as its address is public; says what became of a request."""

    async def reach(self, authority: str, path: str = "/", *headers: tuple[str, bytes]) -> object:
        """Send a request, and give its error or its status."""
        fields = self.call("http/types.[static]fields.from-list", list(headers))
        if "err" in fields:
            return fields
        request = self.call("http/types.[constructor]outgoing-request", fields["ok"])
        self.call("http/types.[method]outgoing-request.set-scheme", request, "HTTP")
        self.call("http/types.[method]outgoing-request.set-authority", request, authority)
        if "err" in self.call("http/types.[method]outgoing-request.set-path-with-query", request, path):
            return {"err": "no path"}
        sent = await self.handle(request)
        if "err" in sent:
            return sent
        answered = (await self.response(sent["ok"]))["ok"]
        if "err" in answered:
            return answered
        return self.call("http/types.[method]incoming-response.status", answered["ok"])


@pytest.fixture
async def attacker(client, names: Names) -> AsyncIterator[Attacker]:
    guest = Attacker()
    guest.wasi.http = client
    guest.wasi.egress = policy("http://*:*")
    async with guest.wasi:
        yield guest
        guest.end()


@pytest.fixture
async def inner() -> AsyncIterator[Scripted]:
    """A server on loopback, which nobody may reach."""
    async with scripted(always(answer(b"secret"))) as server:
        yield server
        assert server.connections == 0


def policy(*hosts: str, allow_private: bool = False) -> EgressPolicy:
    return EgressPolicy(tuple(parse_allowed_host(host, None, allow_private) for host in hosts))


DECIMAL, OCTAL = ["2130706433"], ["017700000001", "0177.0.0.1", "0177.0.0.01"]
HEXADECIMAL, SHORT = ["0x7f000001", "0x7f.0.0.1"], ["127.1", "127.0.1", "0", "127.0.0.1."]
OTHERS = [
    "127\u30020\u30020\u30021",
    "\uff11\uff12\uff17.\uff10.\uff10.\uff11",
    "\u2460\u2461\u2466.\u24ea.\u24ea.\u2460",
]
"""Full stops of Chinese, digits of full width, digits in circles."""


@pytest.mark.parametrize("host", DECIMAL)
async def test_loopback_as_one_decimal_number_is_not_reached(attacker: Attacker, inner: Scripted, host: str) -> None:
    assert await attacker.reach(f"{host}:{inner.port}") == NO_AUTHORITY


@pytest.mark.parametrize("host", OCTAL)
async def test_loopback_in_octal_is_not_reached(attacker: Attacker, inner: Scripted, host: str) -> None:
    assert await attacker.reach(f"{host}:{inner.port}") == NO_AUTHORITY


@pytest.mark.parametrize("host", HEXADECIMAL)
async def test_loopback_in_hexadecimal_is_not_reached(attacker: Attacker, inner: Scripted, host: str) -> None:
    assert await attacker.reach(f"{host}:{inner.port}") == NO_AUTHORITY


@pytest.mark.parametrize("host", SHORT)
async def test_loopback_in_a_short_form_is_not_reached(attacker: Attacker, inner: Scripted, host: str) -> None:
    assert await attacker.reach(f"{host}:{inner.port}") in (NO_AUTHORITY, PROHIBITED)


@pytest.mark.parametrize("host", OTHERS)
async def test_loopback_with_other_digits_and_dots_is_not_reached(
    attacker: Attacker, inner: Scripted, host: str
) -> None:
    assert await attacker.reach(f"{host}:{inner.port}") in (NO_AUTHORITY, PROHIBITED)


@pytest.mark.parametrize("zone", ["[fe80::1%25eth0]", "[fe80::1%eth0]", "[::1%lo]", "[::1%25lo]", "fe80::1%eth0"])
async def test_an_ipv6_address_with_a_zone_is_no_authority(attacker: Attacker, inner: Scripted, zone: str) -> None:
    assert await attacker.reach(f"{zone}:{inner.port}") == NO_AUTHORITY


WRAPPED = {
    "plain": ["::1", "0:0:0:0:0:0:0:1", "::", "0::0"],
    "ipv4-mapped": [
        "::ffff:127.0.0.1",
        "::ffff:7f00:1",
        "0:0:0:0:0:ffff:7f00:1",
        "::ffff:a9fe:a9fe",
        "::ffff:0:127.0.0.1",
    ],
    "ipv4-compatible": ["::127.0.0.1", "::7f00:1"],
    "6to4": ["2002:7f00:1::", "2002:a9fe:a9fe::1", "2002:c0a8:101::1"],
    "nat64": ["64:ff9b::7f00:1", "64:ff9b::127.0.0.1", "64:ff9b::a9fe:a9fe", "64:ff9b:1::a00:1"],
    "teredo": ["2001:0:4136:e378:8000:63bf:80ff:fffe", "2001::1"],
    "link-local": ["fe80::1", "febf::1", "169.254.1.1", "fec0::1"],
    "metadata": ["169.254.169.254", "169.254.170.2", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200", "192.0.0.192"],
    "special": [
        "0.0.0.0",
        "255.255.255.255",
        "224.0.0.1",
        "ff02::1",
        "240.0.0.1",
        "198.18.0.1",
        "100::1",
        "2001:db8::1",
    ],
}


async def refuse(attacker: Attacker, names: Names, inner: Scripted, *addresses: str) -> None:
    """See that an address is reached neither as it is, nor by a name, nor by one of several addresses of a name."""
    for address in addresses:
        host = f"[{address}]" if ":" in address else address
        names.answers["evil.test"] = [address]
        assert await attacker.reach(f"{host}:{inner.port}") == PROHIBITED, address
        assert await attacker.reach(f"evil.test:{inner.port}") == PROHIBITED, address
        names.answers["evil.test"] = ["8.8.8.8", address]
        assert await attacker.reach(f"evil.test:{inner.port}") == PROHIBITED, address
    assert [entry.error for entry in attacker.wasi.trace] == ["destination-IP-prohibited"] * 3 * len(addresses)


async def test_loopback_over_ipv6_is_not_reached_in_any_spelling(
    attacker: Attacker, names: Names, inner: Scripted
) -> None:
    await refuse(attacker, names, inner, *WRAPPED["plain"])


async def test_ipv4_addresses_mapped_into_ipv6_are_judged_as_what_they_are(
    attacker: Attacker, names: Names, inner: Scripted
) -> None:
    await refuse(attacker, names, inner, *WRAPPED["ipv4-mapped"], *WRAPPED["ipv4-compatible"])


async def test_6to4_and_teredo_lead_to_no_address_inside(attacker: Attacker, names: Names, inner: Scripted) -> None:
    await refuse(attacker, names, inner, *WRAPPED["6to4"], *WRAPPED["teredo"])


async def test_nat64_leads_to_no_address_inside(attacker: Attacker, names: Names, inner: Scripted) -> None:
    await refuse(attacker, names, inner, *WRAPPED["nat64"])


async def test_link_local_addresses_are_not_reached(attacker: Attacker, names: Names, inner: Scripted) -> None:
    await refuse(attacker, names, inner, *WRAPPED["link-local"])


async def test_metadata_services_are_not_reached(attacker: Attacker, names: Names, inner: Scripted) -> None:
    await refuse(attacker, names, inner, *WRAPPED["metadata"])


async def test_metadata_services_are_not_reached_where_private_addresses_are_allowed(
    attacker: Attacker, names: Names, inner: Scripted
) -> None:
    attacker.wasi.egress = policy("http://*:*", allow_private=True)
    await refuse(attacker, names, inner, *WRAPPED["metadata"])


async def test_addresses_of_no_host_are_not_reached(attacker: Attacker, names: Names, inner: Scripted) -> None:
    await refuse(attacker, names, inner, *WRAPPED["special"])


@pytest.mark.parametrize("user", ["a.test@", "a.test:80@", "a.test%40", "@", "a.test\\@", "a.test%00@"])
async def test_user_information_hides_no_host(attacker: Attacker, names: Names, inner: Scripted, user: str) -> None:
    names.answers["a.test"] = ["8.8.8.8"]
    assert await attacker.reach(f"{user}127.0.0.1:{inner.port}") == NO_AUTHORITY
    assert names.asked == []


@pytest.mark.parametrize("authority_text", ["a.test#@{}", "a.test#{}", "a.test/@{}", "a.test?@{}", "a.test/../{}"])
async def test_a_fragment_or_a_path_in_the_authority_hides_no_host(
    attacker: Attacker, names: Names, inner: Scripted, authority_text: str
) -> None:
    assert await attacker.reach(authority_text.format(f"127.0.0.1:{inner.port}")) == NO_AUTHORITY
    assert names.asked == []


async def test_a_fragment_in_the_path_is_not_sent(attacker: Attacker, inner: Scripted) -> None:
    assert await attacker.reach("a.test", "/x#y") == {"err": "no path"}


@pytest.mark.parametrize(
    "port", ["0", "65536", "-1", "+80", "8_0", " 80", "80 ", "\uff18\uff10", "0x50", "80,81", "99999999999"]
)
async def test_an_odd_port_is_no_authority(attacker: Attacker, names: Names, port: str) -> None:
    assert await attacker.reach(f"a.test:{port}") == NO_AUTHORITY
    assert names.asked == []


async def test_a_port_that_no_entry_names_is_not_reached(attacker: Attacker, names: Names) -> None:
    attacker.wasi.egress = policy("http://a.test")
    for port in (22, 25, 443, 6379):
        assert await attacker.reach(f"a.test:{port}") == {"err": "HTTP_request_denied"}
    assert names.asked == []


async def test_a_name_with_public_and_private_addresses_is_refused_whatever_their_order(
    attacker: Attacker, names: Names, inner: Scripted
) -> None:
    for addresses in (["127.0.0.1", "8.8.8.8"], ["8.8.8.8", "127.0.0.1"], ["2606:4700::1111", "8.8.8.8", "::1"]):
        names.answers["mixed.test"] = addresses
        assert await attacker.reach(f"mixed.test:{inner.port}") == PROHIBITED


async def test_a_name_that_changes_between_the_check_and_the_connection_gains_nothing() -> None:
    """The resolver is asked once for a connection; what was checked is what is connected to."""
    answers, connected = [["8.8.8.8"], ["127.0.0.1"]], []

    class Recording:
        async def connect_tcp(self, host: str, *_: object, **__: object) -> None:
            connected.append(host)

    async def rebinding(_host: str, _port: int) -> list[str]:
        return answers.pop(0)

    network = CheckedNetwork(rebinding, Reach.PUBLIC)
    network._connector = Recording()
    await network.connect_tcp("evil.test", 80, timeout=30)
    assert connected == ["8.8.8.8"]
    with pytest.raises(HttpFailure, match="not public"):
        await network.connect_tcp("evil.test", 80, timeout=30)
    assert connected == ["8.8.8.8"]


async def test_a_name_that_changes_between_two_requests_is_checked_again(
    attacker: Attacker, names: Names, inner: Scripted
) -> None:
    attacker.wasi.egress = policy("http://evil.test:*", allow_private=True)
    async with scripted(always(answer(), close=True)) as own:
        names.answers["evil.test"] = ["127.0.0.1"]
        assert await attacker.reach(f"evil.test:{own.port}") == 200
        names.answers["evil.test"] = ["169.254.169.254"]
        assert await attacker.reach(f"evil.test:{own.port}") == PROHIBITED
        assert own.connections == 1


@pytest.mark.parametrize("status", ["301 Moved", "302 Found", "303 See Other", "307 Temporary", "308 Permanent"])
async def test_a_redirect_leads_nowhere_by_itself(
    attacker: Attacker, names: Names, inner: Scripted, status: str
) -> None:
    attacker.wasi.egress = policy("http://evil.test:*", allow_private=True)
    names.answers["evil.test"] = ["127.0.0.1"]
    location = f"location: http://127.0.0.1:{inner.port}/"
    async with scripted(always(answer(b"", status, location))) as own:
        assert await attacker.reach(f"evil.test:{own.port}") == int(status[:3])
        assert len(own.heads) == 1


INJECTED = b"x\r\nx-injected: 1\r\n\r\nGET /admin HTTP/1.1\r\nhost: a\r\n\r\n"


@pytest.mark.parametrize(
    ("path", "header"),
    [
        ("/" + INJECTED.decode(), None),
        ("/?" + INJECTED.decode(), None),
        ("/a b", None),
        ("/\u0120\u010a", None),
        ("/", ("x-a", INJECTED)),
        ("/", ("x-a", b"1\nx-injected: 1")),
        ("/", ("x-a", b"1\rx-injected: 1")),
        ("/", ("x-a", b"1\0")),
        ("/", ("x-a: 1\r\nx-injected", b"1")),
        ("/", ("x-a\u010a", b"1")),
        ("/", ("transfer-encoding", b"chunked")),
        ("/", ("host", b"other.test")),
        ("/", ("content-length", b"5, 5")),
    ],
)
async def test_no_header_or_path_puts_another_line_or_request_on_the_wire(
    attacker: Attacker, names: Names, path: str, header: tuple[str, bytes] | None
) -> None:
    attacker.wasi.egress = policy("http://a.test:*", allow_private=True)
    names.answers["a.test"] = ["127.0.0.1"]
    async with scripted(always(answer())) as server:
        headers = [] if header is None else [header]
        assert "err" in await attacker.reach(f"a.test:{server.port}", path, *headers)  # type: ignore[operator]
        assert server.heads == []
        assert await attacker.reach(f"a.test:{server.port}", "/ok", ("x-a", b"1")) == 200
        assert server.heads == [f"GET /ok HTTP/1.1\r\nhost: a.test:{server.port}\r\nx-a: 1\r\n\r\n".encode()]


async def test_a_decompression_bomb_stays_as_small_as_it_came(attacker: Attacker, names: Names) -> None:
    attacker.wasi.egress = policy("http://a.test:*", allow_private=True)
    names.answers["a.test"] = ["127.0.0.1"]
    bomb = gzip.compress(bytes(100 << 20))
    assert len(bomb) < 200_000
    attacker.wasi.http_limits = HttpLimits(response_body_bytes=len(bomb))
    async with scripted(always(answer(bomb, "200 OK", "content-encoding: gzip"))) as server:
        status, body, end = await attacker.fetch(f"http://a.test:{server.port}/")
    assert (status, body == bomb, end) == (200, True, "closed")
    assert [entry.response_bytes for entry in attacker.wasi.trace] == [len(bomb)]
