"""Secrets in the manifest, and reading their values."""

import errno
import os
from pathlib import Path

import msgspec
import pytest

from obelisk_config import CredentialSecret, EnvSecret, FileSecret, Manifest, Surroundings, draft, load, secret_variable
from obelisk_daemon.deployment.secrets import read_secrets
from obelisk_daemon.wasm.wasi.secret import MAX_BYTES

ACTIVITY = '[[activity]]\nname = "one"\npath = "one.wasm"\nallowed_hosts = [{}]\n'
VALUE = "s3cr3t-value-0001"


def manifest(secrets: str, *named: str, file: Path = Path("/etc/obelisk.toml")) -> Manifest:
    hosts = ", ".join(f'{{ host = "https://{name}.example", secrets = ["{name}"] }}' for name in named)
    return load(f"[secrets]\n{secrets}\n{ACTIVITY.format(hosts)}".encode(), file)


def read_one(source: str, directory: Path, **variables: str) -> bytes | str:
    """Give the value, or the message of the one error."""
    found = manifest(f"key = {{ {source} }}", "key", file=directory / "obelisk.toml")
    secrets, diagnostics = read_secrets(found, variables)
    assert len(secrets) + len(diagnostics) == 1, diagnostics
    return secrets["key"].reveal() if secrets else diagnostics[0].message


def test_each_source_is_a_type_of_its_own_and_a_file_starts_at_the_manifest() -> None:
    text = 'a = { env = "A" }\nb = { file = "keys/b" }\nc = { credential = "c.key" }\nd = { file = "/run/d" }'
    assert manifest(text).secrets == {
        "a": EnvSecret("A"),
        "b": FileSecret("/etc/keys/b"),
        "c": CredentialSecret("c.key"),
        "d": FileSecret("/run/d"),
    }


def test_a_secret_with_an_error_is_not_taken_and_the_others_are() -> None:
    text = '[secrets]\na = { env = "A", file = "a" }\nb = "plain"\nc = { env = "C" }\n"d e" = { env = "D" }'
    assert draft(text.encode(), Path("/etc/obelisk.toml")).manifest.secrets == {"c": EnvSecret("C")}


def test_where_secrets_are_can_be_written_as_json_and_read_back() -> None:
    secrets = manifest('a = { env = "A" }\nb = { file = "b" }\nc = { credential = "c" }').secrets
    assert msgspec.json.decode(msgspec.json.encode(secrets), type=Manifest.__annotations__["secrets"]) == secrets


def test_a_component_needs_the_secrets_of_all_its_hosts_also_of_defaults() -> None:
    spec = manifest('b = { env = "B" }\na = { env = "A" }', "b", "a").components[0]
    assert [host.secrets for host in spec.allowed_hosts] == [("b",), ("a",)]
    assert spec.secrets == ("a", "b")
    text = (
        '[secrets]\na = { env = "A" }\n[defaults.activity]\nallowed_hosts = [{ host = "https://a", secrets = ["a"] }]'
    )
    inherited = load(f'{text}\n[[activity]]\nname = "one"\npath = "one.wasm"\n'.encode(), Path("/etc/obelisk.toml"))
    assert inherited.components[0].secrets == ("a",)


@pytest.mark.parametrize(("name", "variable"), [("api-key", "API_KEY"), ("a_b-C1", "A_B_C1"), ("x", "X")])
def test_the_variable_of_a_secret_is_its_name_in_capitals(name: str, variable: str) -> None:
    assert secret_variable(name) == variable


def test_a_value_is_read_from_each_source_without_the_line_end(tmp_path: Path) -> None:
    (tmp_path / "keys").mkdir()
    (tmp_path / "keys" / "key").write_text(f"{VALUE}\n")
    assert read_one('env = "KEY"', tmp_path, KEY=VALUE) == VALUE.encode()
    assert read_one('env = "KEY"', tmp_path, KEY=f"{VALUE}\r\n") == VALUE.encode()
    assert read_one('file = "keys/key"', tmp_path) == VALUE.encode()
    directory = str(tmp_path / "keys")
    assert read_one('credential = "key"', Path("/"), CREDENTIALS_DIRECTORY=directory) == VALUE.encode()


def test_a_value_of_the_environment_may_be_any_bytes(tmp_path: Path) -> None:
    assert read_one('env = "KEY"', tmp_path, KEY=os.fsdecode(b"\xff\xfe bytes\x80")) == b"\xff\xfe bytes\x80"


def test_a_file_is_followed_through_a_symbolic_link(tmp_path: Path) -> None:
    (tmp_path / "..data").write_text(VALUE)
    (tmp_path / "key").symlink_to("..data")
    assert read_one('file = "key"', tmp_path) == VALUE.encode()


def test_a_file_as_large_as_may_be_is_read_and_one_byte_more_is_not(tmp_path: Path) -> None:
    for end in ("", "\n", "\r\n"):
        (tmp_path / "key").write_bytes(b"x" * MAX_BYTES + end.encode())
        assert read_one('file = "key"', tmp_path) == b"x" * MAX_BYTES
        (tmp_path / "key").write_bytes(b"x" * (MAX_BYTES + 1) + end.encode())
        assert read_one('file = "key"', tmp_path) == 'the value of the secret "key" has more than 8 KiB'


def test_an_empty_credentials_directory_is_as_none(tmp_path: Path) -> None:
    assert "$CREDENTIALS_DIRECTORY is not set" in str(
        read_one('credential = "key"', tmp_path, CREDENTIALS_DIRECTORY="")
    )


@pytest.mark.parametrize(
    ("error", "said"),
    [(PermissionError(errno.EACCES, "no"), "may not be read"), (OSError(errno.EIO, "I/O error"), "I/O error")],
)
def test_a_file_that_the_system_does_not_give_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, error: OSError, said: str
) -> None:
    (tmp_path / "key").write_text(VALUE)

    def fail(*_arguments: object) -> int:
        raise error  # made here, since root may read everything

    monkeypatch.setattr(os, "open", fail)
    assert said in str(read_one('file = "key"', tmp_path))


def test_what_a_manifest_depends_on_shows_no_variables() -> None:
    assert VALUE not in repr(Surroundings({"KEY": VALUE}, "/state"))


def test_only_what_a_component_needs_is_read() -> None:
    found = manifest('a = { env = "A" }\nb = { env = "B" }', "a")
    secrets, diagnostics = read_secrets(found, {"A": VALUE, "B": VALUE})
    assert (list(secrets), diagnostics) == (["a"], ())
    assert (secrets["a"].name, secrets["a"].variable) == ("a", "A")
    assert [one.message for one in read_secrets(found, {})[1]] == [
        'the secret "a": the environment variable A is not set'
    ]


def test_what_is_wrong_is_a_warning_where_no_value_is_needed() -> None:
    found = manifest('a = { env = "A" }\nb = { env = "B" }', "a", "b")
    secrets, diagnostics = read_secrets(found, {"A": "two\nlines"}, "warning")
    assert secrets == {}
    assert [(one.code, one.severity) for one in diagnostics] == [
        ("bad_secret", "warning"),
        ("missing_secret", "warning"),
    ]
