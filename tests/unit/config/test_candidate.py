"""Reading the files a manifest names."""

import errno
from pathlib import Path

import pytest

from obelisk_config import Manifest, load
from obelisk_daemon.deployment import candidate
from obelisk_daemon.deployment.candidate import digest_of, read_components


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    (tmp_path / "a.wasm").write_bytes(b"a")
    (tmp_path / "b.wasm").write_bytes(b"b")
    return tmp_path


def manifest(directory: Path, *components: str) -> Manifest:
    text = "".join(f"[[activity]]\nname = 'c{number}'\n{text}\n" for number, text in enumerate(components))
    return load(text.encode(), directory / "obelisk.toml")


def test_components_of_one_file_share_its_bytes(directory: Path) -> None:
    files, diagnostics = read_components(manifest(directory, *["path = 'a.wasm'"] * 2, "path = 'b.wasm'"), dev=True)
    a, b = digest_of(b"a"), digest_of(b"b")
    assert files.by_digest == {a: b"a", b: b"b"}
    assert files.digests == {"c0": a, "c1": a, "c2": b}
    assert [(one.code, one.severity) for one in diagnostics] == [("missing_digest", "warning")] * 3


def test_a_matching_digest_is_taken_without_a_word(directory: Path) -> None:
    files, diagnostics = read_components(manifest(directory, f"path = 'a.wasm'\ndigest = '{digest_of(b'a')}'"))
    assert diagnostics == ()
    assert files.digests == {"c0": digest_of(b"a")}


def test_a_component_with_an_error_is_not_taken_and_the_others_are(directory: Path) -> None:
    wrong = f"path = 'b.wasm'\ndigest = '{digest_of(b'a')}'"
    files, diagnostics = read_components(manifest(directory, "path = 'gone'", wrong, "path = 'a.wasm'"), dev=True)
    assert [one.code for one in diagnostics] == ["missing_file", "digest_mismatch", "missing_digest"]
    assert files.digests == {"c2": digest_of(b"a")}
    assert files.by_digest == {digest_of(b"a"): b"a"}


def test_a_symbolic_link_is_followed(directory: Path) -> None:
    (directory / "link.wasm").symlink_to("a.wasm")
    files, _ = read_components(manifest(directory, "path = 'link.wasm'"), dev=True)
    assert files.digests == {"c0": digest_of(b"a")}


def test_a_file_as_large_as_may_be_is_read_and_one_byte_more_is_not(
    directory: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(candidate, "MAX_BYTES", 3)
    (directory / "a.wasm").write_bytes(b"123")
    (directory / "b.wasm").write_bytes(b"1234")
    files, diagnostics = read_components(manifest(directory, "path = 'a.wasm'", "path = 'b.wasm'"), dev=True)
    assert files.by_digest == {digest_of(b"123"): b"123"}
    assert [one.code for one in diagnostics if one.severity == "error"] == ["file_too_large"]


def test_a_file_that_may_not_be_read_says_so(directory: Path) -> None:
    denied = PermissionError(errno.EACCES, "Permission denied")  # made here, since root may read everything
    refusal = candidate._refusal(directory / "a.wasm", denied)
    assert (refusal.code, str(refusal)) == ("unreadable_file", "may not be read")


def test_an_error_of_the_system_that_nobody_foresaw_is_reported_too(directory: Path) -> None:
    _, diagnostics = read_components(manifest(directory, f"path = '{'x' * 300}'"), dev=True)
    assert [one.code for one in diagnostics] == ["unreadable_file"]
    assert "File name too long" in diagnostics[0].message


def test_the_files_of_stubs_are_read_and_a_wit_file_needs_no_digest(directory: Path) -> None:
    (directory / "a.wit").write_bytes(b"package a:b;")
    text = f"""
[[stub]]
name = "wit"
wit = "a.wit"
[[stub]]
name = "component"
path = "a.wasm"
digest = "{digest_of(b"a")}"
[[stub]]
ffqn = "a:b/c.d"
"""
    files, diagnostics = read_components(load(text.encode(), directory / "obelisk.toml"))
    assert diagnostics == ()
    assert files.digests == {"wit": digest_of(b"package a:b;"), "component": digest_of(b"a")}


def test_a_component_that_is_a_stub_must_have_its_digest(directory: Path) -> None:
    stub = '[[stub]]\nname = "{}"\npath = "a.wasm"\n'
    text = stub.format("one") + stub.format("two") + f'digest = "{digest_of(b"b")}"'
    _, diagnostics = read_components(load(text.encode(), directory / "obelisk.toml"))
    assert [one.code for one in diagnostics] == ["missing_digest", "digest_mismatch"]
