"""Which addresses a connection may go to."""

import pytest

from obelisk_daemon.wasm.wasi.addresses import Reach, address_refusal

PUBLIC = ["8.8.8.8", "1.1.1.1", "2606:4700::1111", "2a00:1450:4001:80b::200e", "::ffff:8.8.8.8"]

NEVER_PUBLIC = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "172.31.255.255", "192.168.1.1", "169.254.169.254", "100.64.0.1",
    "0.0.0.0", "192.0.0.192", "192.0.2.1", "192.88.99.1", "198.18.0.1", "198.51.100.1", "203.0.113.1",
    "224.0.0.1", "240.0.0.1", "255.255.255.255",
    "::1", "::", "::ffff:127.0.0.1", "::ffff:169.254.169.254", "2002:7f00:1::", "2002:808:808::",
    "64:ff9b::7f00:1", "64:ff9b::808:808", "64:ff9b:1::7f00:1", "fe80::1", "fe80::1%eth0", "fd00::1", "fec0::1",
    "ff02::1", "2001:0:4136:e378:8000:63bf:80ff:fffe", "2001:db8::1", "3fff::1", "::127.0.0.1", "::8.8.8.8", "100::1",
]  # fmt: skip

PRIVATE = [
    "127.0.0.1",
    "10.0.0.1",
    "172.16.0.1",
    "172.31.255.255",
    "192.168.1.1",
    "100.64.0.1",
    "::1",
    "fd00::1",
    "::ffff:10.0.0.1",
]
CREDENTIALS = [
    "169.254.169.254", "fe80::1", "::ffff:169.254.169.254", "fd00:ec2::254", "fd20:ce::254", "100.100.100.200",
]  # fmt: skip


@pytest.mark.parametrize("address", PUBLIC)
@pytest.mark.parametrize("reach", list(Reach))
def test_a_public_address_is_always_allowed(address, reach):
    assert address_refusal(address, reach) is None


@pytest.mark.parametrize("address", NEVER_PUBLIC)
def test_an_address_that_is_not_public_is_refused_by_default(address):
    refusal = address_refusal(address, Reach.PUBLIC)
    assert refusal is not None
    assert "allow_private" in refusal


@pytest.mark.parametrize("address", PRIVATE)
@pytest.mark.parametrize("reach", [Reach.PRIVATE, Reach.LITERAL])
def test_allow_private_opens_loopback_and_the_private_ranges(address, reach):
    assert address_refusal(address, reach) is None


@pytest.mark.parametrize("address", CREDENTIALS)
def test_allow_private_does_not_open_addresses_where_clouds_serve_credentials(address):
    assert address_refusal(address, Reach.PRIVATE) is not None


@pytest.mark.parametrize("address", CREDENTIALS)
def test_such_an_address_is_open_to_an_entry_that_names_it(address):
    assert address_refusal(address, Reach.LITERAL) is None


@pytest.mark.parametrize(
    "address", sorted(set(NEVER_PUBLIC) - set(PRIVATE) - set(CREDENTIALS) - {"fe80::1%eth0", "::ffff:127.0.0.1"})
)
@pytest.mark.parametrize("reach", [Reach.PRIVATE, Reach.LITERAL])
def test_nothing_opens_special_addresses_that_are_neither_private_nor_link_local(address, reach):
    assert address_refusal(address, reach) is not None


def test_what_is_no_address_is_refused():
    assert address_refusal("localhost", Reach.LITERAL) == "'localhost' is not an address"
