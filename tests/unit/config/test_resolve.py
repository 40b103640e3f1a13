"""From what the author wrote to the resolved manifest."""

from datetime import timedelta
from pathlib import Path

import msgspec
import pytest

from obelisk_config import (
    AllowedHost,
    Backoff,
    ComponentSpec,
    ComponentStub,
    Daemon,
    Executor,
    InlineStub,
    Limits,
    Log,
    Manifest,
    ManifestError,
    QueueLimits,
    Sqlite,
    StubParameter,
    StubSpec,
    Surroundings,
    TcpListen,
    UnixListen,
    WitStub,
    draft,
    load,
    parse_listen,
)

FILE = Path("/etc/obelisk/obelisk.toml")
FUNCTION = "example:http/client.get"


def manifest(text: str, surroundings: Surroundings = Surroundings()) -> Manifest:  # noqa: B008
    return load(text.encode(), FILE, surroundings)


def one(text: str = "", kind: str = "activity", before: str = "") -> ComponentSpec:
    return manifest(f"{before}\n[[{kind}]]\nname = 'one'\npath = 'one.wasm'\n{text}").components[0]


def test_an_empty_manifest_has_the_defaults() -> None:
    empty = manifest("")
    assert empty.daemon == Daemon(
        "/etc/obelisk/.obelisk",
        Sqlite(),
        (UnixListen("/etc/obelisk/.obelisk/api.sock"),),
        Log("auto", "info"),
        timedelta(seconds=10),
        False,
        "auto",
        "file",
    )
    assert empty.executors == (Executor("default", (), 200, timedelta(seconds=15)),)
    assert empty.limits == QueueLimits(1_000_000, "reject")
    assert empty.components == ()


def test_an_activity_has_the_defaults() -> None:
    activity = one()
    assert activity.settings.timeout == timedelta(seconds=30)
    assert activity.settings.max_retries == 5
    assert activity.settings.backoff == Backoff(timedelta(milliseconds=100), 2.0, timedelta(minutes=1), 0.1)
    assert activity.settings.retry_on == ("error", "trap", "timeout")
    assert activity.limits == Limits(
        256 << 20, 100_000, 4 << 20, 1 << 20, fuel=None, http_requests=1000, http_bytes=64 << 20
    )
    assert (activity.path, activity.digest, activity.env) == ("/etc/obelisk/one.wasm", None, {})
    assert (activity.allowed_hosts, activity.allow_private, activity.forward_stdio) == ((), False, False)
    assert activity.on_upgrade == "latest"
    assert (activity.priority, activity.max_running, activity.max_pending) == (5, None, None)
    assert activity.when_full == "reject"


def test_a_workflow_has_the_defaults() -> None:
    workflow = one(kind="workflow")
    assert workflow.settings.timeout == timedelta(seconds=5)
    assert workflow.settings.retry_on == ("timeout",)
    assert workflow.limits == Limits(256 << 20, 100_000, 4 << 20, 1 << 20, fuel=50_000_000_000)
    assert (workflow.on_upgrade, workflow.on_block, workflow.max_hot) == ("replay", "hot", 1000)
    assert workflow.on_nondeterminism == "pause"


def test_a_function_overrides_its_component_which_overrides_the_defaults_of_its_kind() -> None:
    spec = one(
        f"timeout = '2s'\nlabels = ['gpu', 'eu']\n[activity.functions.'{FUNCTION}']\ntimeout = '1s'\nlabels = []\n",
        before="[defaults.activity]\ntimeout = '3s'\nmax_retries = 9\n[defaults.workflow]\nmax_retries = 1",
    )
    assert spec.settings_for(FUNCTION).timeout == timedelta(seconds=1)
    assert spec.settings_for(FUNCTION).max_retries == 9
    assert spec.settings_for(FUNCTION).labels == ()
    assert spec.settings_for("example:http/client.post") == spec.settings
    assert spec.settings.timeout == timedelta(seconds=2)
    assert spec.labels == ("eu", "gpu")


def test_of_backoff_and_limits_only_the_keys_given_are_overridden() -> None:
    spec = one(
        f"backoff.initial = '2s'\nlimits.value = '1KiB'\n[activity.functions.'{FUNCTION}'.backoff]\njitter = 0\n",
        before="[defaults.activity]\nbackoff = { max = '5m' }\nlimits = { memory = '1GiB' }",
    )
    assert spec.settings.backoff == Backoff(timedelta(seconds=2), 2.0, timedelta(minutes=5), 0.1)
    assert spec.settings_for(FUNCTION).backoff == Backoff(timedelta(seconds=2), 2.0, timedelta(minutes=5), 0.0)
    assert (spec.limits.memory, spec.limits.value, spec.limits.logs) == (1 << 30, 1 << 10, 1 << 20)


def test_the_state_directory_is_that_of_the_command_line_else_of_the_manifest_else_of_systemd() -> None:
    systemd = Surroundings({"STATE_DIRECTORY": "/var/lib/obelisk:/var/lib/other"})
    both = Surroundings({"STATE_DIRECTORY": "/var/lib/obelisk"}, state_dir="/cli")
    authored = "[daemon]\nstate_dir = 'state'"
    assert manifest("", systemd).daemon.state_dir == "/var/lib/obelisk"
    assert manifest(authored, systemd).daemon.state_dir == "/etc/obelisk/state"
    assert manifest(authored, both).daemon.state_dir == "/cli"
    assert manifest(authored, both).daemon.listen == (UnixListen("/cli/api.sock"),)


def test_a_manifest_named_relatively_has_absolute_paths(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    here = load(b"[[activity]]\nname = 'one'\npath = '../one.wasm'", Path("obelisk.toml"))
    assert here.daemon.state_dir == str(tmp_path / ".obelisk")
    assert here.components[0].path == f"{tmp_path}/../one.wasm"


def test_the_socket_is_in_the_runtime_directory_of_systemd_unless_the_command_line_has_a_state_directory() -> None:
    systemd = Surroundings({"STATE_DIRECTORY": "/var/lib/obelisk", "RUNTIME_DIRECTORY": "/run/obelisk:/run/other"})
    both = Surroundings(systemd.variables, state_dir="/cli")
    for authored in ("", "[daemon]\nstate_dir = 'state'"):
        assert manifest(authored, systemd).daemon.listen == (UnixListen("/run/obelisk/api.sock"),)
        assert manifest(authored, both).daemon.listen == (UnixListen("/cli/api.sock"),)
    assert manifest("[daemon]\nlisten = ['unix:a']", systemd).daemon.listen == (UnixListen("/etc/obelisk/a"),)


@pytest.mark.parametrize(
    ("text", "listen"),
    [
        ("unix:/run/api.sock", UnixListen("/run/api.sock")),
        ("unix:api.sock", UnixListen("/etc/obelisk/api.sock")),
        ("127.0.0.1:5005", TcpListen("127.0.0.1", 5005)),
        ("localhost:0", TcpListen("127.0.0.1", 0)),
        ("[::1]:65535", TcpListen("::1", 65535)),
        ("127.8.8.8:1", TcpListen("127.8.8.8", 1)),
    ],
)
def test_listen_takes_unix_sockets_and_loopback(text: str, listen: object) -> None:
    assert manifest(f"[daemon]\nlisten = ['{text}']").daemon.listen == (listen,)


def test_the_command_line_listens_instead_of_the_manifest() -> None:
    given = Surroundings(listen=(parse_listen("127.0.0.1:1"), parse_listen("[::1]:2")))
    listen = manifest("[daemon]\nlisten = ['unix:a']", given).daemon.listen
    assert [str(one) for one in listen] == ["127.0.0.1:1", "[::1]:2"]


def test_paths_of_the_command_line_start_at_the_working_directory(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    daemon = manifest("", Surroundings(state_dir="state", listen=(parse_listen("unix:a.sock"),))).daemon
    assert daemon.state_dir == str(tmp_path / "state")
    assert daemon.listen == (UnixListen(str(tmp_path / "a.sock")),)


@pytest.mark.parametrize(
    ("text", "host"),
    [
        ("https://API.example.com.", AllowedHost("https", "api.example.com", 443, None, False)),
        ("HTTP://*.example.com", AllowedHost("http", "*.example.com", 80, None, False)),
        ("https://*:8443", AllowedHost("https", "*", 8443, None, False)),
        ("http://127.0.0.1:65535", AllowedHost("http", "127.0.0.1", 65535, None, False)),
        ("http://[0:0::1]:80", AllowedHost("http", "::1", 80, None, False)),
    ],
)
def test_an_allowed_host_has_one_form(text: str, host: AllowedHost) -> None:
    assert one(f"allowed_hosts = ['{text}']").allowed_hosts == (host,)


@pytest.mark.parametrize("text", ["https://", "https://.a", "https://a..b", "https://*.", "https://a b", "https://::1"])
def test_what_is_no_host_is_refused(text: str) -> None:
    with pytest.raises(ManifestError, match="bad_host"):
        one(f"allowed_hosts = ['{text}']")


def test_private_addresses_are_allowed_by_the_entry_or_else_by_the_component() -> None:
    hosts = "['http://a', { host = 'http://b', allow_private = false }, { host = 'http://c', methods = ['GET'] }]"
    spec = one(f"allow_private = true\nallowed_hosts = {hosts}")
    assert [host.allow_private for host in spec.allowed_hosts] == [True, False, True]
    assert [host.methods for host in spec.allowed_hosts] == [None, None, ("GET",)]


def test_every_resolved_part_reads_back_from_json() -> None:
    text = f"env = {{ A = 'b' }}\nallowed_hosts = ['http://a']\n[activity.functions.'{FUNCTION}']\nmax_retries = 0\n"
    parts = (manifest("").daemon, *manifest("").executors, manifest("").limits)
    for part in (one(text), one(kind="workflow"), *parts):
        assert msgspec.json.decode(msgspec.json.encode(part), type=type(part)) == part


def test_a_draft_keeps_what_is_usable_and_says_that_something_is_missing() -> None:
    text = b"[[activity]]\nname = 'a'\npath = 'a'\ntimeout = 1\n\n[[activity]]\nname = 'b'\n"
    drafted = draft(text, FILE)
    assert [one.name for one in drafted.manifest.components] == ["a"]
    assert drafted.manifest.components[0].settings.timeout == timedelta(seconds=30)
    assert [one.code for one in drafted.diagnostics] == ["bad_type", "missing_key"]
    assert drafted.partial
    assert not draft(b"[[activity]]\nname = 'a'\npath = 'a'\n", FILE).partial
    assert draft(b"[[activities]]\nname = 'a'\npath = 'a'\n", FILE).partial


def test_a_component_is_found_by_its_name_and_its_place_by_its_position() -> None:
    found = manifest("[[workflow]]\nname = 'w'\npath = 'w'\n[[activity]]\nname = 'a'\npath = 'a'\n")
    component = found.component("w")
    assert component is not None
    assert component.kind == "workflow"
    assert found.component("x") is None
    assert found.document.at((*found.positions["w"], "name")).line == 2


def test_a_workflow_says_what_may_be_cancelled_what_a_trap_does_and_how_much_it_may_ask() -> None:
    plain, said = one(kind="workflow"), one("on_trap = 'pause'\nmax_history_events = 100", kind="workflow")
    assert (plain.on_trap, plain.max_history_events, plain.settings.cancellable) == ("fail", 50_000, False)
    assert (said.on_trap, said.max_history_events) == ("pause", 100)


def test_a_function_of_a_workflow_may_be_cancellable_when_the_others_are_not() -> None:
    spec = one(f"[workflow.functions.'{FUNCTION}']\ncancellable = true\n", kind="workflow")
    assert spec.settings_for(FUNCTION).cancellable
    assert not spec.settings_for("example:http/client.post").cancellable
    others = one(f"cancellable = true\n[workflow.functions.'{FUNCTION}']\ncancellable = false\n", kind="workflow")
    assert not others.settings_for(FUNCTION).cancellable
    assert others.settings_for("example:http/client.post").cancellable


def test_an_activity_is_always_cancellable() -> None:
    assert one().settings.cancellable


def test_a_stub_may_be_written_in_the_manifest() -> None:
    (stub,) = manifest(
        "[[stub]]\nname = 'approval'\nffqn = 'a:b/c@1.0.0.%approve'\n"
        "params = [{ name = 'order', type = 'u64' }, { name = '%type', type = 'string' }]\nreturns = 'bool'\n"
    ).stubs
    params = (StubParameter("order", "u64"), StubParameter("type", "string"))
    assert stub == StubSpec("approval", InlineStub("a:b/c@1.0.0.approve", params, "bool"))
    assert (stub.kind, stub.key, stub.path) == ("stub", "ffqn", None)


def test_a_stub_written_in_the_manifest_may_be_without_name_parameters_and_result() -> None:
    resolved = manifest("[[stub]]\nffqn = 'a:b/c.d'\n")
    assert resolved.stubs == (StubSpec("a:b/c.d", InlineStub("a:b/c.d", (), None)),)
    assert resolved.positions == {"a:b/c.d": ("stub", 0)}


def test_a_stub_may_be_a_wit_file_or_a_component_beside_the_manifest() -> None:
    digest = f"sha256:{'0' * 64}"
    wit, component = manifest(
        "[[stub]]\nname = 'wit'\nwit = 'wit/a.wit'\n"
        f"[[stub]]\nname = 'component'\npath = 'a.wasm'\ndigest = '{digest}'\n"
    ).stubs
    assert wit == StubSpec("wit", WitStub("/etc/obelisk/wit/a.wit"))
    assert component == StubSpec("component", ComponentStub("/etc/obelisk/a.wasm", digest))
    assert (wit.key, wit.path) == ("wit", "/etc/obelisk/wit/a.wit")
    assert (component.key, component.path) == ("path", "/etc/obelisk/a.wasm")


def test_a_stub_reads_back_from_json() -> None:
    text = "[[stub]]\nffqn = 'a:b/c.d'\nparams = [{ name = 'p', type = 'u8' }]\n[[stub]]\nname = 'w'\nwit = 'w'\n"
    for stub in manifest(text).stubs:
        assert msgspec.json.decode(msgspec.json.encode(stub), type=StubSpec) == stub


@pytest.mark.parametrize(
    "text",
    ["ffqn = 1", "ffqn = 'a:b/c.d'\nreturns = 1", "ffqn = 'a:b/c.d'\nparams = [{ name = 'p' }]", "name = 'n'\nwit = 1"],
)
def test_a_draft_lacks_a_stub_with_errors_and_says_so(text: str) -> None:
    drafted = draft(f"[[stub]]\n{text}\n".encode(), FILE)
    assert drafted.manifest.stubs == ()
    assert drafted.partial
    assert len(drafted.diagnostics) == 1


def test_a_component_says_what_comes_first_and_how_much_of_it_there_may_be() -> None:
    spec = one(
        "priority = 9\nmax_running = 3\nwhen_full = 'evict-oldest'",
        kind="workflow",
        before="[defaults.workflow]\nmax_running = 20\nmax_pending = 10_000\n[defaults.activity]\nmax_pending = 1",
    )
    assert (spec.priority, spec.max_running, spec.max_pending) == (9, 3, 10_000)
    assert spec.when_full == "evict-oldest"


@pytest.mark.parametrize(
    ("key", "least", "most"), [("priority", 0, 9), ("max_running", 1, 100_000), ("max_pending", 1, 100_000_000)]
)
def test_a_bound_of_a_component_has_bounds_itself(key: str, least: int, most: int) -> None:
    for value in (least, most):
        assert getattr(one(f"{key} = {value}"), key) == value
    for value in (least - 1, most + 1):
        with pytest.raises(ManifestError, match="out_of_range"):
            one(f"{key} = {value}")


@pytest.mark.parametrize("policy", ["replay", "pin", "force"])
def test_a_workflow_chooses_what_an_upgrade_does_to_its_executions(policy: str) -> None:
    assert one(f"on_upgrade = '{policy}'", kind="workflow").on_upgrade == policy


def test_the_limits_of_all_components_together_are_set_in_a_table_of_their_own() -> None:
    resolved = manifest("[limits]\nmax_pending = 7\nwhen_full = 'evict-oldest'\n[[activity]]\nname = 'a'\npath = 'a'")
    assert resolved.limits == QueueLimits(7, "evict-oldest")
    assert (resolved.components[0].max_pending, resolved.components[0].when_full) == (None, "reject")


def test_one_table_is_the_one_executor() -> None:
    resolved = manifest("[executor]\nlabels = ['gpu', 'eu']\nlease = '30s'\n")
    assert resolved.executors == (Executor("default", ("eu", "gpu"), 200, timedelta(seconds=30)),)
    assert manifest("[executor]\nname = 'host-1'").executors[0].name == "host-1"


def test_several_tables_are_executors_in_the_order_of_the_file() -> None:
    text = "[[executor]]\nname = 'small'\nmax_running = 2\n[[executor]]\nname = 'gpu'\nlabels = ['gpu']\n"
    lease = timedelta(seconds=15)
    assert manifest(text).executors == (Executor("small", (), 2, lease), Executor("gpu", ("gpu",), 200, lease))


def test_the_place_of_an_executor_is_its_table_in_both_forms() -> None:
    one_table, several = manifest("\n[executor]\n"), manifest("[[executor]]\nname = 'a'\n[[executor]]\nname = 'b'\n")
    assert one_table.document.at(("executor", 0)).line == one_table.document.at(("executor",)).line == 2
    assert several.document.at(("executor", 1)).line == 3


def test_there_may_be_64_executors_and_no_more() -> None:
    tables = [f"[[executor]]\nname = 'e{number}'\n" for number in range(65)]
    assert len(manifest("".join(tables[:64])).executors) == 64
    with pytest.raises(ManifestError, match="65"):
        manifest("".join(tables))


@pytest.mark.parametrize(
    "text", ["executor = []", "executor = [1]", "executor = 1", "[[executor]]", "[executor]\nname = 1"]
)
def test_a_draft_has_an_executor_whatever_is_wrong_with_its_table(text: str) -> None:
    drafted = draft(text.encode(), FILE)
    assert [executor.name for executor in drafted.manifest.executors] == ["default"]
    assert len(drafted.diagnostics) == 1
