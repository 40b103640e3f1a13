"""The text of errors about secrets: where they are, which hosts may have them, and what can't be read."""

import os
from pathlib import Path

from syrupy.assertion import SnapshotAssertion

from tests.golden.manifest.authoring import component
from tests.golden.manifest.conftest import Explain

PLAIN = "sk-live-0001"


def asking(*names: str, host: str = "https://api.example.com") -> str:
    listed = ", ".join(f'"{name}"' for name in names)
    return component("one", f'allowed_hosts = [{{ host = "{host}", secrets = [{listed}] }}]')


def test_secrets_of_all_three_sources_are_no_error(explain: Explain, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("a value of a file\n")
    (tmp_path / "credentials").mkdir()
    (tmp_path / "credentials" / "key").write_text("a value of systemd\n")
    text = '[secrets]\na = { env = "KEY" }\nb = { file = "key" }\nc = { credential = "key" }\n'
    variables = {"KEY": "a value of a variable", "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    assert explain(text + asking("a", "b", "c"), variables=variables) == "no errors"


def test_a_value_in_the_manifest_is_an_error_that_does_not_show_it(
    explain: Explain, snapshot: SnapshotAssertion
) -> None:
    text = f'[secrets]\na = "{PLAIN}"\nb = {{ value = "{PLAIN}" }}\nc = ["{PLAIN}"]\n'
    text += f'd = {{ env = 1, token = "{PLAIN}" }}\ne.f.g = "{PLAIN}"\nh = """\n{PLAIN}\n"""\n'
    told = explain(text)
    assert PLAIN not in told
    assert told == snapshot


def test_a_value_in_place_of_the_table_is_not_shown_either(explain: Explain, snapshot: SnapshotAssertion) -> None:
    told = [explain(text) for text in (f'secrets = "{PLAIN}"', f'[[secrets]]\na = "{PLAIN}"\n')]
    assert PLAIN not in "".join(told)
    assert told == snapshot


def test_a_value_without_quotes_is_an_error_that_does_not_show_it(
    explain: Explain, snapshot: SnapshotAssertion
) -> None:
    texts = [f"[secrets]\na = {PLAIN}\n", f"[secrets]\n# a comment\n'b' = '{PLAIN}\n", f"secrets.a = {PLAIN}\n"]
    told = [explain(text) for text in texts]
    assert PLAIN not in "".join(told)
    assert told == snapshot


def test_other_lines_with_errors_are_shown_whole(explain: Explain) -> None:
    assert "a = no quotes" in explain("[secrets]\n\n[executor]\na = no quotes\n")
    assert "a = no quotes" in explain("a = no quotes\n[secrets]\n")


def test_a_secret_has_one_source(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = '[secrets]\na = {}\nb = { env = "A", file = "b", credential = "c" }\nc = { fiel = "a" }\n'
    assert explain(text) == snapshot


def test_a_source_of_a_wrong_form_shows_the_form(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = '[secrets]\na = { credential = "../a" }\nb = { credential = ".." }\nc = { credential = "" }\n'
    text += 'd = { env = "A=B" }\ne = { env = "" }\nf = { file = "" }\ng = { file = 1 }\n"h i" = { env = "A" }\n'
    assert explain(text) == snapshot


def test_two_secrets_of_one_variable_are_an_error(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain('[secrets]\napi-key = { env = "A" }\nAPI_KEY = { env = "B" }\n') == snapshot


def test_a_host_that_names_no_secret_there_is_shows_which_was_meant(
    explain: Explain, snapshot: SnapshotAssertion
) -> None:
    text = '[secrets]\napi-key = { env = "A" }\nwrong = 1\n\n[defaults.activity]\n'
    text += 'allowed_hosts = [{ host = "https://a.example", secrets = ["api-kye"] }]\n\n'
    assert explain(text + asking("zzz", "wrong", "api-key")) == snapshot


def test_without_a_table_of_secrets_a_host_can_name_none(explain: Explain, snapshot: SnapshotAssertion) -> None:
    assert explain(asking("api-key")) == snapshot


def test_a_secret_does_not_go_to_every_host(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = '[secrets]\napi-key = { env = "A" }\n\n' + asking("api-key", host="https://*")
    assert explain(text) == snapshot
    assert explain(text.replace("https://*", "https://*.example.com")) == "no errors"


def test_a_secret_over_http_is_a_warning_beyond_loopback(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = '[secrets]\napi-key = { env = "A" }\n\n' + asking("api-key", host="http://10.0.0.1")
    assert explain(text) == snapshot
    for loopback in ("127.0.0.1:80", "[::1]", "localhost:8080"):
        assert explain(text.replace("10.0.0.1", loopback)) == "no errors"


def test_a_variable_of_the_author_with_the_name_of_a_secret_is_an_error(
    explain: Explain, snapshot: SnapshotAssertion
) -> None:
    text = '[secrets]\napi-key = { env = "A" }\nother = { env = "A" }\n\n'
    assert explain(text + asking("api-key") + 'env = { OTHER = "1", API_KEY = "2" }\n') == snapshot


def test_a_secret_that_no_host_names_is_a_warning(explain: Explain, snapshot: SnapshotAssertion) -> None:
    text = '[secrets]\nold-key = { env = "A" }\n[secrets.older-key]\nenv = "A"\n'
    assert explain(text + component("one"), variables={}) == snapshot
    assert "unused_secret" not in explain(text + component("one", "timeout = 1"))


def test_what_is_not_there_says_how_to_give_it(explain: Explain, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    text = '[secrets]\na = { env = "API_KEY" }\nb = { file = "keys/b" }\nc = { credential = "c" }\n\n'
    assert explain(text + asking("a", "b", "c"), variables={}) == snapshot
    (tmp_path / "credentials").mkdir()
    variables = {"API_KEY": "a good value", "CREDENTIALS_DIRECTORY": str(tmp_path / "credentials")}
    assert explain(text + asking("a", "c"), variables=variables) == snapshot


def test_what_is_no_file_is_not_read(explain: Explain, snapshot: SnapshotAssertion, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    text = '[secrets]\na = { file = "." }\nb = { file = "pipe" }\nc = { file = "/dev/zero" }\n\n'
    assert explain(text + asking("a", "b", "c"), variables={}) == snapshot


def test_a_value_that_no_header_may_have_is_an_error_that_does_not_show_it(
    explain: Explain, snapshot: SnapshotAssertion
) -> None:
    values = {"A": "", "B": "\n", "C": f"{PLAIN}\n{PLAIN}", "D": f" {PLAIN}", "E": PLAIN * 1_000, "F": "short"}
    text = "[secrets]\n" + "".join(f'{name.lower()} = {{ env = "{name}" }}\n' for name in values)
    told = explain(text + "\n" + asking(*(name.lower() for name in values)), variables=values)
    assert PLAIN not in told
    assert told == snapshot
