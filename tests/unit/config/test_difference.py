"""What changed between two manifests, key by key."""

from pathlib import Path

import msgspec
import pytest

from obelisk_config import ComponentChange, Difference, Manifest, SettingChange, compare, load, restart_only
from obelisk_config.example import example

FILE = Path("/etc/obelisk/obelisk.toml")
FUNCTION = "example:http/client.get"
ONE, TWO = (f"sha256:{digit * 64}" for digit in "12")

TOKEN = "[[token]]\nname = 'ci'\nrole = 'read'\nsha256 = '" + "0" * 64 + "'\n"


def manifest(text: str = "", file: Path = FILE) -> Manifest:
    return load(text.encode(), file)


def component(*lines: str, name: str = "one", kind: str = "activity", path: str = "one.wasm") -> str:
    return "\n".join([f"[[{kind}]]", f"name = '{name}'", f"path = '{path}'", *lines, ""])


def difference(before: str, after: str) -> Difference:
    return compare(manifest(before), manifest(after))


def settings(before: str, after: str, kind: str = "activity") -> list[tuple[str, str | None, str | None]]:
    """Compare a component with other lines; nothing else changed."""
    found = difference(component(before, kind=kind), component(after, kind=kind))
    assert found.settings == ()
    (changed,) = found.components
    assert (changed.name, changed.kind, changed.change, changed.digest) == ("one", kind, "changed", None)
    assert not any(one.restart_only for one in changed.settings)
    return [(one.key, one.before, one.after) for one in changed.settings]


def test_of_equal_manifests_the_difference_is_empty() -> None:
    found = difference(example(), example())
    assert found == Difference()
    assert found.is_empty


def test_comments_and_defaults_that_are_written_out_change_nothing() -> None:
    assert difference(component(), "# new\n" + component("timeout = '30s'", "limits.memory = '256MiB'")).is_empty
    assert difference("", "[executor]\nname = 'default'\n[limits]\nmax_pending = 1_000_000\n").is_empty


def test_another_order_changes_nothing() -> None:
    parts = [component(), component(name="two"), component(name="three", kind="workflow")]
    parts += ["[[stub]]\nffqn = 'a:b/c.d'\n", "[[executor]]\nname = 'a'\n", "[[executor]]\nname = 'b'\n"]
    assert difference("".join(parts), "".join(reversed(parts))).is_empty


def test_a_difference_of_components_or_of_settings_is_not_empty() -> None:
    assert not difference("", component()).is_empty
    assert not difference("", "[limits]\nmax_pending = 1\n").is_empty


def test_without_a_manifest_before_every_component_is_added_and_nothing_else_is_told() -> None:
    text = component(f"digest = '{ONE}'") + "[[stub]]\nffqn = 'a:b/c.d'\n[limits]\nmax_pending = 1\n"
    assert compare(None, manifest(text)) == Difference(
        (
            ComponentChange("one", "activity", "added", (None, ONE)),
            ComponentChange("a:b/c.d", "stub", "added"),
        )
    )


def test_components_come_in_the_order_of_the_new_manifest_and_those_that_are_gone_last() -> None:
    before = component(f"digest = '{ONE}'", name="gone") + component(name="same") + component(name="other")
    after = component(name="new") + component("timeout = '1s'", name="other") + component(name="same")
    assert [(one.name, one.change, one.digest) for one in difference(before, after).components] == [
        ("new", "added", None),
        ("other", "changed", None),
        ("gone", "removed", (ONE, None)),
    ]


def test_a_component_of_another_kind_is_another_component() -> None:
    changes = difference(component(), component(kind="workflow")).components
    assert [(one.name, one.kind, one.change) for one in changes] == [
        ("one", "workflow", "added"),
        ("one", "activity", "removed"),
    ]


def test_another_digest_is_told_apart_from_the_settings() -> None:
    found = difference(component(f"digest = '{ONE}'"), component(f"digest = '{TWO}'"))
    assert found.components == (ComponentChange("one", "activity", "changed", (ONE, TWO)),)
    found = difference(component(f"digest = '{ONE}'"), component("timeout = '1s'"))
    assert found.components[0].digest == (ONE, None)


@pytest.mark.parametrize(
    ("before", "after", "change"),
    [
        ("", "timeout = '90s'", ("timeout", '"30s"', '"1m30s"')),
        ("", "backoff = { max = '5m' }", ("backoff.max", '"1m"', '"5m"')),
        ("backoff.factor = 3", "backoff.factor = 1.5", ("backoff.factor", "3.0", "1.5")),
        ("", "retry_on = ['error']", ("retry_on", '["error", "trap", "timeout"]', '["error"]')),
        ("labels = ['b', 'a']", "", ("labels", '["a", "b"]', "[]")),
        ("", "limits.memory = '64MiB'", ("limits.memory", '"256MiB"', '"64MiB"')),
        ("", "limits.host_calls = 7", ("limits.host_calls", "100_000", "7")),
        ("", "limits.http_bytes = '1KiB'", ("limits.http_bytes", '"64MiB"', '"1KiB"')),
        ("env = { REGION = 'eu' }", "env = { REGION = 'us' }", ("env.REGION", '"eu"', '"us"')),
        ("", 'env = { "a b" = "say \\"x\\"" }', ('env."a b"', None, r'"say \"x\""')),
        ("env = { A = '1' }", "", ("env.A", '"1"', None)),
        ("forward_stdio = true", "", ("forward_stdio", "true", "false")),
        ("", "priority = 9", ("priority", "5", "9")),
        ("", "max_running = 20", ("max_running", None, "20")),
        ("max_pending = 10_000", "", ("max_pending", "10_000", None)),
        ("", "when_full = 'evict-oldest'", ("when_full", '"reject"', '"evict-oldest"')),
    ],
)
def test_a_setting_of_a_component_has_the_key_and_the_values_an_author_would_write(
    before: str, after: str, change: tuple[str, str | None, str | None]
) -> None:
    assert settings(before, after) == [change]


@pytest.mark.parametrize(
    ("line", "change"),
    [
        ("on_upgrade = 'pin'", ("on_upgrade", '"replay"', '"pin"')),
        ("cancellable = true", ("cancellable", "false", "true")),
        ("limits.fuel = 1_000_000", ("limits.fuel", "50_000_000_000", "1_000_000")),
        ("max_history_events = 100", ("max_history_events", "50_000", "100")),
    ],
)
def test_a_workflow_has_settings_of_its_own(line: str, change: tuple[str, str, str]) -> None:
    assert settings("", line, kind="workflow") == [change]


def test_several_changes_of_a_component_come_together() -> None:
    found = settings("env.A = '1'\ntimeout = '1s'", "priority = 1\ntimeout = '2s'")
    assert [key for key, _, _ in found] == ["env.A", "timeout", "priority"]


@pytest.mark.parametrize(
    ("entry", "text"),
    [
        ("'https://API.example.com:443'", '["https://api.example.com"]'),
        ("'http://[::1]:8080'", '["http://[::1]:8080"]'),
        ("'http://*.example.com:80'", '["http://*.example.com"]'),
        (
            "{ host = 'http://a:443', methods = ['GET', 'PUT'] }",
            '[{ host = "http://a:443", methods = ["GET", "PUT"] }]',
        ),
        ("{ host = 'http://a', allow_private = true }", '[{ host = "http://a", allow_private = true }]'),
        ("{ host = 'http://a', allow_private = false }", '["http://a"]'),
    ],
)
def test_an_allowed_host_is_written_as_short_as_it_can_be(entry: str, text: str) -> None:
    assert settings("", f"allowed_hosts = [{entry}]") == [("allowed_hosts", "[]", text)]


def test_what_holds_for_all_hosts_is_not_told_again_for_each() -> None:
    hosts = "allowed_hosts = ['http://a', 'http://b']\n"
    assert settings(hosts, hosts + "allow_private = true") == [("allow_private", "false", "true")]


def test_a_setting_of_the_defaults_is_one_of_each_component_that_has_no_other() -> None:
    components = component() + component("timeout = '9s'", name="two")
    changes = difference(components, components + "[defaults.activity]\ntimeout = '1s'\n").components
    assert [(one.name, one.settings) for one in changes] == [("one", (SettingChange("timeout", '"30s"', '"1s"'),))]


def test_a_setting_of_a_function_has_its_full_name_in_quotes() -> None:
    function = f"[activity.functions.'{FUNCTION}']\n"
    key = f'functions."{FUNCTION}".backoff.max'
    assert settings("", function + "backoff.max = '5m'") == [(key, '"1m"', '"5m"')]
    assert settings(function + "backoff.max = '5m'", "") == [(key, '"5m"', '"1m"')]
    assert settings(function + "backoff.max = '5m'", function + "backoff.max = '6m'") == [(key, '"5m"', '"6m"')]


def test_a_function_that_follows_its_component_is_not_told_apart() -> None:
    function = f"[activity.functions.'{FUNCTION}']\nmax_retries = 1\n"
    assert settings(function, "timeout = '1s'\n" + function) == [("timeout", '"30s"', '"1s"')]


def test_a_function_that_changes_otherwise_than_its_component_is_told_apart() -> None:
    before = f"[activity.functions.'{FUNCTION}']\ntimeout = '9s'\n"
    assert settings(before, "timeout = '1s'\n") == [
        ("timeout", '"30s"', '"1s"'),
        (f'functions."{FUNCTION}".timeout', '"9s"', '"1s"'),
    ]


def test_a_path_is_told_as_it_stands_beside_the_manifest() -> None:
    there = Path("/srv/other/obelisk.toml")
    text = component(path="a/one.wasm") + "[[stub]]\nname = 'wit'\nwit = 'a.wit'\n"
    assert compare(manifest(text), manifest(text, there)).components == ()
    absolute = component(path="/srv/one.wasm") + "[[stub]]\nname = 'wit'\nwit = '../b.wit'\n"
    changes = compare(manifest(text), manifest(absolute)).components
    assert [one.settings for one in changes] == [
        (SettingChange("path", '"a/one.wasm"', '"/srv/one.wasm"'),),
        (SettingChange("wit", '"a.wit"', '"../b.wit"'),),
    ]


def test_a_stub_changes_by_what_it_says_of_its_functions() -> None:
    before = "[[stub]]\nname = 's'\nffqn = 'a:b/c.d'\nparams = [{ name = 'p', type = 'u8' }]\n"
    after = "[[stub]]\nname = 's'\nffqn = 'a:b/c.e'\nreturns = 'u8'\n"
    (changed,) = difference(before, after).components
    assert (changed.kind, changed.change, changed.digest) == ("stub", "changed", None)
    assert changed.settings == (
        SettingChange("ffqn", '"a:b/c.d"', '"a:b/c.e"'),
        SettingChange("params", '[{ name = "p", type = "u8" }]', "[]"),
        SettingChange("returns", None, '"u8"'),
    )


def test_a_stub_may_come_from_a_file_after_it_was_written_in_the_manifest() -> None:
    before = "[[stub]]\nname = 's'\nffqn = 'a:b/c.d'\n"
    (changed,) = difference(before, f"[[stub]]\nname = 's'\npath = 'a.wasm'\ndigest = '{ONE}'\n").components
    assert changed.digest == (None, ONE)
    assert [(one.key, one.after) for one in changed.settings] == [
        ("ffqn", None),
        ("params", None),
        ("path", '"a.wasm"'),
    ]


def test_every_setting_of_the_daemon_needs_a_restart() -> None:
    found = difference(
        "", "[daemon]\nstate_dir = '/s'\nlisten = ['127.0.0.1:1']\nlog.level = 'debug'\nstop_grace = '1s'\n"
    )
    assert found.components == ()
    assert found.settings == (
        SettingChange("daemon.state_dir", '"/etc/obelisk/.obelisk"', '"/s"', restart_only=True),
        SettingChange("daemon.listen", '["unix:/etc/obelisk/.obelisk/api.sock"]', '["127.0.0.1:1"]', restart_only=True),
        SettingChange("daemon.log.level", '"info"', '"debug"', restart_only=True),
        SettingChange("daemon.stop_grace", '"10s"', '"1s"', restart_only=True),
    )


def test_a_listener_is_told_with_all_that_it_says() -> None:
    text = "[daemon]\nlisten = [{ address = '[::]:1', tls = { cert = 'c', key = 'k' }, hosts = ['A.example'] }]\n"
    (change,) = difference("", text + TOKEN).settings[:1]
    assert change.after == (
        '[{ address = "[::]:1", tls = { cert = "/etc/obelisk/c", key = "/etc/obelisk/k" }, hosts = ["a.example"] }]'
    )


def test_a_token_that_comes_goes_or_changes_needs_no_restart() -> None:
    (came,) = difference("", TOKEN).settings
    told = f'{{ role = "read", sha256 = "{"0" * 64}" }}'
    assert came == SettingChange("token.ci", None, told)
    (changed,) = difference(TOKEN, TOKEN.replace("read", "admin") + "expires = 2027-01-31T00:00:00Z\n").settings
    assert changed.after == f'{{ role = "admin", sha256 = "{"0" * 64}", expires = "2027-01-31T00:00:00+00:00" }}'
    assert difference(TOKEN, "").settings == (SettingChange("token.ci", told, None),)


def test_of_an_executor_only_the_lease_needs_a_restart() -> None:
    found = difference("", "[executor]\nlabels = ['gpu']\nmax_running = 3\nlease = '1m'\n")
    assert found.settings == (
        SettingChange("executor.default.labels", "[]", '["gpu"]'),
        SettingChange("executor.default.max_running", "200", "3"),
        SettingChange("executor.default.lease", '"15s"', '"1m"', restart_only=True),
    )
    assert restart_only(found) == found.settings[2:]


def test_an_executor_that_comes_or_goes_needs_a_restart() -> None:
    found = difference("", "[[executor]]\nname = 'default'\n[[executor]]\nname = 'gpu'\nlabels = ['gpu']\n")
    table = '{ labels = ["gpu"], max_running = 200, lease = "15s" }'
    assert found.settings == (SettingChange("executor.gpu", None, table, restart_only=True),)
    renamed = difference("[executor]\nname = 'lease'\n", "")
    assert [(one.key, one.after is None) for one in restart_only(renamed)] == [
        ("executor.lease", True),
        ("executor.default", False),
    ]
    found = difference("[executor]\nname = 'lease'\n", "[executor]\nname = 'lease'\nmax_running = 1\n")
    assert found.settings == (SettingChange("executor.lease.max_running", "200", "1"),)


def test_the_limits_of_the_queue_need_no_restart() -> None:
    found = difference("", "[limits]\nmax_pending = 5\nwhen_full = 'evict-oldest'\n")
    assert found.settings == (
        SettingChange("limits.max_pending", "1_000_000", "5"),
        SettingChange("limits.when_full", '"reject"', '"evict-oldest"'),
    )
    assert restart_only(found) == ()


def test_how_long_what_has_finished_is_kept_needs_no_restart() -> None:
    found = difference("", "[retention]\nfinished = 'never'\ngenerations = 5\n")
    assert found.settings == (
        SettingChange("retention.finished", '"30d"', '"never"'),
        SettingChange("retention.generations", "100", "5"),
    )
    assert restart_only(found) == ()
    assert difference("[retention]\nfinished = '24h'\n", "[retention]\nfinished = '1d'\n").is_empty


def test_a_difference_can_be_sent_as_json() -> None:
    found = difference(component(f"digest = '{ONE}'"), component("timeout = '1s'") + "[limits]\nmax_pending = 1\n")
    assert msgspec.json.decode(msgspec.json.encode(found), type=Difference) == found


def test_secrets_are_told_by_where_they_are_and_a_running_daemon_takes_them_over() -> None:
    before = "[secrets]\na = { env = 'A' }\nb = { file = 'keys/b' }\nc = { file = '/run/c' }\n"
    after = "[secrets]\na = { credential = 'a' }\nb = { file = 'keys/b2' }\n"
    found = difference(before, after)
    assert [(one.key, one.before, one.after) for one in found.settings] == [
        ("secrets.a", '{ env = "A" }', '{ credential = "a" }'),
        ("secrets.b", '{ file = "keys/b" }', '{ file = "keys/b2" }'),
        ("secrets.c", '{ file = "/run/c" }', None),
    ]
    assert restart_only(found) == ()


def test_the_secrets_of_an_allowed_host_are_part_of_it() -> None:
    before = "allowed_hosts = [{ host = 'https://a', secrets = ['key'] }]"
    secrets = "\n[secrets]\nkey = { env = 'A' }\n"
    assert settings(before + secrets, "allowed_hosts = ['https://a']" + secrets) == [
        ("allowed_hosts", '[{ host = "https://a", secrets = ["key"] }]', '["https://a"]')
    ]
