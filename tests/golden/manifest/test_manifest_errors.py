"""The text of every error of the manifest itself and of the files it names (issue 2, "Done when" 6)."""

import os
from pathlib import Path

from syrupy.assertion import SnapshotAssertion

from obelisk_config import MAX_BYTES
from tests.golden.manifest.authoring import DIGEST, component
from tests.golden.manifest.conftest import Explain


def test_an_unknown_key_shows_the_key_that_was_meant(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain('[daemon]\nstop_grase = "1s"\n\n' + component("one", "timeuot = '1s'")) == snapshot


def test_an_unknown_key_that_resembles_none_shows_all(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain("[executor]\nzzz = 1\n") == snapshot


def test_an_unknown_table_is_an_error(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain('[demon]\nlisten = ["unix:a"]\n\n[[activities]]\nname = "a"\n') == snapshot


def test_a_key_of_the_other_kind_says_which_kind_has_it(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = component("one", 'on_block = "hot"', "limits = { fuel = 1 }")
    text += component("two", "limits.http_requests = 1", kind="workflow")
    assert explain(text) == snapshot


def test_a_key_of_a_later_version_says_so(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain("[[cron]]\nname = 'nightly'\n\n" + component("one", "queue_timeout = '1m'")) == snapshot


def test_what_holds_for_a_component_is_not_of_a_function(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = "".join(
        component(kind, f'[{kind}.functions."a:b/c.d"]', "priority = 1", "max_running = 1", kind=kind)
        for kind in ("activity", "workflow")
    )
    assert explain(text + "deadline = '1h'\nwhen_full = 'reject'\n") == snapshot


def test_what_bounds_the_queue_has_bounds_itself(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = "[limits]\nmax_pending = 0\nwhen_full = 'evict-newest'\n\n"
    text += component("one", "priority = 10", "max_running = 0", "max_pending = '10'", "when_full = 'evict_oldest'")
    assert explain(text) == snapshot


def test_a_limit_of_one_run_is_not_one_of_all_together(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain("[limits]\nmemory = '1GiB'\nmax_running = 5\nmax_pendng = 5\n") == snapshot


def test_what_has_finished_is_kept_for_a_time_or_for_ever(explain: Explain, snapshot: SnapshotAssertion) -> None:
    texts = ["finished = 30", "finished = 'ever'", "finished = '1s'\ngenerations = -1", "finnished = '1d'"]
    assert "\n".join(explain(f"[retention]\n{text}\n") for text in texts) == snapshot


def test_executors_have_names_of_their_own_and_one_lease(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = "[[executor]]\nname = 'a'\nlease = '30s'\n\n[[executor]]\nname = 'a'\nlease = '20s'\n\n"
    assert explain(text + "[[executor]]\nname = 'b'\nlease = '30s'\n\n[[executor]]\nname = 'c d'\n") == snapshot


def test_one_of_several_executors_needs_a_name(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain("[[executor]]\nmax_running = 1\n[[executor]]\nzzz = 1\n") == snapshot


def test_no_executor_at_all_is_an_error(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain("executor = []\n") == snapshot
    assert explain("executor = 5\n") == snapshot


def test_a_missing_key_shows_what_to_add(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain("[[activity]]\nname = 'one'\n\n[[workflow]]\npath = 'a.wasm'\n") == snapshot


def test_a_bad_type_says_what_was_expected_and_found(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = component(
        "one",
        'max_retries = "5"',
        "forward_stdio = 'yes'",
        "labels = 'eu'",
        "env = ['A=1']",
        "backoff = '1s'",
        "retry_on = [1]",
    )
    assert explain(text) == snapshot


def test_a_table_where_an_array_of_tables_belongs_is_an_error(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain('[activity]\nname = "one"\n\n[[daemon]]\nstop_grace = "1s"\n') == snapshot


def test_a_bad_duration_shows_how_to_write_one(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = '[executor]\nlease = "15 s"\n\n' + component("one", "timeout = 30", 'backoff = { initial = "fast" }')
    text += component("two", 'timeout = "30s1m"', 'backoff.max = "1.5s"', kind="workflow", path="b.wasm")
    assert explain(text) == snapshot


def test_a_duration_out_of_bounds_shows_the_bounds(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain('[executor]\nlease = "1ms"\n\n' + component("one", 'timeout = "99999999999d"')) == snapshot


def test_a_bad_byte_size_shows_how_to_write_one(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(component("one", 'limits = { memory = "64MB", value = 1024, logs = "9GiB" }')) == snapshot


def test_a_number_out_of_bounds_shows_the_bounds(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = "[executor]\nmax_running = 0\n\n" + component("one", "max_retries = -1", "backoff.factor = nan")
    assert explain(text + component("two", "max_hot = 1.5", kind="workflow", path="b.wasm")) == snapshot


def test_a_number_too_long_to_write_is_still_out_of_bounds(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(f"[executor]\nmax_running = 0x{'f' * 5000}\n") == snapshot


def test_a_longest_backoff_below_the_first_is_an_error(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = component("one", 'backoff.initial = "5m"', '[activity.functions."a:b/c.d"]', 'backoff = { initial = "10m" }')
    assert explain(text) == snapshot


def test_a_bad_choice_shows_the_choices(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = "[daemon]\nlog = { format = 'jsn', level = 'loud' }\n\n"
    assert explain(text + component("one", "retry_on = ['errors', 'trap', 'trap']")) == snapshot


def test_a_choice_of_the_other_kind_says_why_there_is_none(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = component("one", 'on_upgrade = "latest"', 'retry_on = ["trap"]', kind="workflow")
    assert explain(text + component("two", 'on_upgrade = "pin"', path="b.wasm")) == snapshot


def test_a_workflow_has_no_network(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = component("one", 'allowed_hosts = ["https://a.example"]', "allow_private = true", kind="workflow")
    assert explain(text) == snapshot


def test_a_missing_file_shows_the_one_that_was_meant(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = component("one", path="aa.wasm") + component("two", path="components/fibo.wasm")
    assert explain(text + component("three", path="zzzzzzzz")) == snapshot


def test_what_is_not_a_regular_file_is_not_read(explain: Explain, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.wasm")
    text = component("one", path=".") + component("two", path="pipe.wasm") + component("three", path="/dev/zero")
    assert explain(text) == snapshot


def test_a_file_that_is_too_large_is_not_read(explain: Explain, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    with (tmp_path / "huge.wasm").open("wb") as file:
        file.truncate(1 << 40)
    assert explain(component("one", path="huge.wasm")) == snapshot


def test_a_digest_mismatch_shows_both_digests_and_the_line_to_paste(
    explain: Explain, snapshot: SnapshotAssertion
) -> None:
    assert explain(component().replace(DIGEST, f"sha256:{'0' * 64}")) == snapshot


def test_a_missing_digest_shows_the_line_to_paste(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain("[[activity]]\nname = 'one'\npath = 'a.wasm'\n") == snapshot


def test_a_missing_digest_is_a_warning_in_development(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain("[[activity]]\nname = 'one'\npath = 'a.wasm'\n", dev=True) == snapshot


def test_a_bad_digest_is_an_error_and_not_also_a_missing_one(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = component("one").replace(DIGEST, "sha256:1234") + component("two").replace(DIGEST, DIGEST.upper())
    assert explain(text) == snapshot


def test_two_components_of_one_name_show_both_lines(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(component("one") + "\n" + component("one", kind="workflow", path="b.wasm")) == snapshot


def test_a_bad_name_shows_the_rule(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(component("my orders") + component("x" * 65) + component("")) == snapshot


def test_a_bad_label_shows_the_rule(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = '[executor]\nlabels = ["eu", "with space", "", "eu"]\n\n'
    assert explain(text + component("one", 'labels = ["-gpu"]')) == snapshot


def test_a_bad_function_name_in_an_override_shows_the_form(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = component("one", "[activity.functions.get]", "timeout = '1s'", "[activity.functions.'a:b/c.d']", "env = 1")
    assert explain(text) == snapshot


def test_bad_environment_variables_are_errors(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(component("one", 'env = { "A=B" = "1", PORT = 80, "" = "", X = "\\u0000" }')) == snapshot


def test_a_bad_allowed_host_shows_the_form(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = component(
        "one",
        "allowed_hosts = [",
        '  "api.example.com",',
        '  "ftp://example.com",',
        '  "https://example.com/path",',
        '  "https://user@example.com",',
        '  "https://example.com:0",',
        '  "https://a*.example.com",',
        '  "http://127.1",',
        '  "http://[::g]",',
        '  "https://bücher.example",',
        '  { host = "https://a.example", methods = ["get"], allow_private = 1, secrets = ["?"] },',
        "  { methods = [] },",
        "  80,",
        "]",
    )
    assert explain(text) == snapshot


def test_a_bad_listen_address_shows_the_forms(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = '[daemon]\nlisten = ["/run/api.sock", "unix:", ":5005", "127.0.0.1:99999", "example.com:80", 5005]\n'
    assert explain(text) == snapshot


def test_listening_beyond_loopback_is_refused(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain('[daemon]\nlisten = ["0.0.0.0:5005", "[::]:5005", "10.0.0.1:80"]\n') == snapshot


def test_a_listener_with_more_to_say_says_it_right(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = """[daemon]
listen = [
  { address = "unix:a", hosts = ["a.example"] },
  { address = "0.0.0.0:1", tls = { cert = "cert.pem" } },
  { address = "0.0.0.0:2", trusted_proxy = ["proxy.example", "10.0.0.1/8"] },
  { address = "0.0.0.0:3", trusted_proxies = ["10.0.0.1"], hosts = ["*.example", "a b"] },
  { hosts = [] },
]
"""
    assert explain(text) == snapshot


def test_a_port_without_tokens_says_how_to_make_one(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain('[daemon]\nlisten = ["unix:a", "localhost:5005"]\n') == snapshot


def test_a_token_is_its_hash_and_is_never_shown(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = "[[token]]\nname = 'ci'\nrole = 'reader'\nsha256 = 'obk_abcdefgh'\ntoken = 'obk_abcdefgh'\n\n"
    text += f"[[token]]\nname = 'ci'\nrole = 'read'\nsha256 = '{'0' * 64}'\nexpires = 2027-01-31T00:00:00\n\n"
    assert explain(text + f"[[token]]\nname = 'two'\nrole = 'read'\nsha256 = '{'0' * 64}'\n") == snapshot


def test_a_socket_path_longer_than_linux_takes_is_an_error(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(f'[daemon]\nlisten = ["unix:/a", "unix:/{"x" * 107}"]\n') == snapshot
    assert explain(f'[daemon]\nstate_dir = "/{"x" * 99}"\n') == snapshot


def test_bytes_that_are_no_text_are_refused(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(b'# \xc3\xa9\nname = "caf\xe9"\n') == snapshot
    assert explain(b"\xef\xbb\xbf[daemon]\n") == snapshot
    assert explain("#" * (MAX_BYTES + 1)) == snapshot


def test_several_errors_come_in_one_run_in_order_of_line(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = component("two", "timeout = 30", 'labels = ["?"]', kind="workflow", path="gone.wasm")
    text += component("one").replace(DIGEST, f"sha256:{'0' * 64}")
    text += "[[activity]]\nname = 'three'\npath = 'a.wasm'\nmax_retires = 1\n\n[daemon]\nlisten = 'unix:a'\n"
    assert explain(text) == snapshot


def test_a_line_that_is_long_or_steers_a_terminal_is_shown_safely(
    explain: Explain, snapshot: SnapshotAssertion
) -> None:
    text = f'[executor]\nlabels = ["{"x" * 60}", "{"y" * 60}", "{"z" * 60}", "?", "{"w" * 60}"]\n'
    text += 'lease\t=\t"1 s" # \u202e \u4e16\n' + component("\u4e16\u754c", "timeout = 1")
    text += 'env = { "\u4e16\u754c" = "e\u0301", PORT = 80 }\n'
    assert explain(text) == snapshot
