"""Who may send what where."""

import pytest

from obelisk_daemon.wasm.wasi.addresses import Reach
from obelisk_daemon.wasm.wasi.egress import (
    AllowedHost,
    EgressDeniedError,
    EgressPolicy,
    Target,
    parse_allowed_host,
    parse_target,
)


def policy(*entries: str, methods=None, allow_private=False) -> EgressPolicy:
    return EgressPolicy(tuple(parse_allowed_host(text, methods, allow_private) for text in entries))


def allows(rules: EgressPolicy, url: str, method: str = "GET") -> bool:
    scheme, _, authority = url.partition("://")
    try:
        rules.check(method, parse_target(scheme, authority))
    except EgressDeniedError:
        return False
    return True


EXACT = policy("https://api.example.com")
WILD = policy("https://*.corp.test:8443")
CASES = [
    (EXACT, "https://api.example.com", True),
    (EXACT, "https://API.Example.COM", True),
    (EXACT, "https://api.example.com.", True),
    (EXACT, "https://api.example.com:443", True),
    (EXACT, "http://api.example.com", False),
    (EXACT, "http://api.example.com:443", False),
    (EXACT, "https://api.example.com:8443", False),
    (EXACT, "https://www.api.example.com", False),
    (EXACT, "https://api.example.com.evil.test", False),
    (EXACT, "https://evilapi.example.com", False),
    (WILD, "https://x.corp.test:8443", True),
    (WILD, "https://x.y.corp.test:8443", True),
    (WILD, "https://corp.test:8443", False),
    (WILD, "https://evilcorp.test:8443", False),
    (WILD, "https://x.corp.test", False),
    (WILD, "https://x.corp.test.evil.test:8443", False),
    (policy("http://api.test:*"), "http://api.test:1", True),
    (policy("http://api.test:*"), "https://api.test:1", False),
    (policy("http://10.0.0.1:8080"), "http://10.0.0.1:8080", True),
    (policy("http://10.0.0.1:8080"), "http://10.0.0.2:8080", False),
    (policy("http://[2001:DB8::0:1]"), "http://[2001:db8::1]", True),
    (policy("http://[::1]:*"), "http://[::1]:99", True),
    (policy("https://*"), "https://anything.test", True),
    (policy("https://*"), "https://anything.test:8443", False),
    (policy("https://*:*"), "https://anything.test:8443", True),
    (policy("https://münchen.example"), "https://xn--mnchen-3ya.example", True),
    (policy("https://MÜNCHEN.example"), "https://münchen.example", True),
    (policy("https://*.0"[:11] + "test"), "https://10.0.0.1", False),
    (policy("https://a.test", "http://b.test:81"), "http://b.test:81", True),
    (policy(), "https://api.example.com", False),
]


@pytest.mark.parametrize(("rules", "url", "allowed"), CASES)
def test_a_request_is_allowed_only_where_scheme_host_and_port_match(rules, url, allowed):
    assert allows(rules, url) is allowed


def test_an_entry_with_methods_allows_only_these():
    rules = policy("https://api.test", methods=("get", "HEAD"))
    assert allows(rules, "https://api.test", "GET")
    assert allows(rules, "https://api.test", "HEAD")
    assert not allows(rules, "https://api.test", "POST")


def test_a_refusal_names_the_request_and_what_is_allowed():
    rules = policy("https://api.test", methods=("GET",))
    with pytest.raises(EgressDeniedError) as refused:
        rules.check("POST", Target("http", "other.test", 8080))
    assert str(refused.value) == (
        "POST http://other.test:8080 is not in allowed_hosts (allowed: https://api.test:443 (GET))"
    )


def test_without_entries_a_refusal_says_that_nothing_is_allowed():
    with pytest.raises(EgressDeniedError, match="allowed: nothing"):
        EgressPolicy().check("GET", Target("https", "api.test", 443))


@pytest.mark.parametrize(
    ("rules", "url", "reach"),
    [
        (policy("http://a.test"), "http://a.test", Reach.PUBLIC),
        (policy("http://a.test", allow_private=True), "http://a.test", Reach.PRIVATE),
        (policy("http://*", allow_private=True), "http://10.0.0.1", Reach.PRIVATE),
        (policy("http://10.0.0.1", allow_private=True), "http://10.0.0.1", Reach.LITERAL),
        (policy("http://10.0.0.1"), "http://10.0.0.1", Reach.PUBLIC),
        (EgressPolicy(policy("http://a.test").allowed, allow_private=True), "http://a.test", Reach.PRIVATE),
    ],
)
def test_how_far_a_connection_may_reach_is_said_by_the_entry_or_the_component(rules, url, reach):
    scheme, _, authority = url.partition("://")
    assert rules.check("GET", parse_target(scheme, authority)) is reach


def test_of_two_matching_entries_the_wider_one_counts():
    wide = parse_allowed_host("http://*.test", None, True)
    narrow = parse_allowed_host("http://a.test", None, False)
    for order in ((wide, narrow), (narrow, wide)):
        assert EgressPolicy(order).check("GET", Target("http", "a.test", 80)) is Reach.PRIVATE


def test_an_entry_that_allows_private_addresses_for_one_method_does_not_for_another():
    rules = EgressPolicy(
        (parse_allowed_host("http://a.test", ("GET",), True), parse_allowed_host("http://a.test", None, False))
    )
    assert rules.check("GET", Target("http", "a.test", 80)) is Reach.PRIVATE
    assert rules.check("POST", Target("http", "a.test", 80)) is Reach.PUBLIC


def test_an_entry_is_read_into_its_parts():
    assert parse_allowed_host("HTTPS://API.Example.com:8443", ("get",), True) == AllowedHost(
        "https", "api.example.com", 8443, frozenset({"GET"}), True
    )


def test_an_entry_without_a_scheme_is_https():
    assert parse_allowed_host("api.example.com", None, False) == AllowedHost("https", "api.example.com", 443)


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        ("ftp://a.test", "scheme must be http or https"),
        ("https://", "is not a host name"),
        ("https://a.test/path", "without a path"),
        ("https://a.test?q", "without a path"),
        ("https://user@a.test", "user information"),
        ("https://a.test:0", "not a port"),
        ("https://a.test:65536", "not a port"),
        ("https://a.test:x", "not a port"),
        ("https://a.*.test", "first label"),
        ("https://a*.test", "first label"),
        ("https://*.*.test", "first label"),
        ("https://*.1.2.3.4", "not for addresses"),
        ("https://127.1", "octets"),
        ("https://2130706433", "octets"),
        ("https://0x7f.1", "octets"),
        ("https://[::1", "brackets"),
        ("https://[fe80::1%eth0]", "zone"),
        ("https://a b.test", "is not a host name"),
        ("https://-a.test", "is not a host name"),
        ("https://a..test", "is not a host name"),
    ],
)
def test_an_entry_that_is_wrong_is_refused_with_a_reason(text, complaint):
    with pytest.raises(ValueError, match=complaint) as refused:
        parse_allowed_host(text, None, False)
    assert str(refused.value).startswith(repr(text))


def test_a_method_that_is_no_token_is_refused():
    with pytest.raises(ValueError, match="not an HTTP method"):
        parse_allowed_host("https://a.test", ("GET /",), False)


@pytest.mark.parametrize(
    "authority",
    ["user@a.test", "user:secret@a.test", "a.test:", "a.test:1:2", "::1", "[::1]x", "127.1", "0x7f000001",
     "017700000001", "2130706433", "0177.0.0.1",
     "a.test/x", "a.test#", "a\r\nb", "a%41.test", "", ".", "x" * 64 + ".test"],
)  # fmt: skip
def test_an_authority_that_is_not_plainly_a_host_and_a_port_is_refused(authority):
    with pytest.raises(ValueError, match=r"."):
        parse_target("http", authority)


@pytest.mark.parametrize(
    ("scheme", "authority", "written"),
    [
        ("http", "A.test:80", "a.test"),
        ("https", "a.test:80", "a.test:80"),
        ("http", "[0:0::1]:8080", "[::1]:8080"),
        ("https", "bücher.test.", "xn--bcher-kva.test"),
    ],
)
def test_an_authority_is_written_in_one_form(scheme, authority, written):
    assert parse_target(scheme, authority).authority == written
