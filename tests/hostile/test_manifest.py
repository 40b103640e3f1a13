"""The manifest and the files that it names, by somebody who means harm: a refusal, soon and in little room."""

import os
import socket
import tracemalloc
from pathlib import Path

import pytest

from obelisk_config import MAX_BYTES, Manifest, ManifestError, draft, load, render
from obelisk_daemon.deployment import candidate
from obelisk_daemon.deployment.candidate import UnusableFile, digest_of, read_components, read_file
from obelisk_daemon.deployment.watching import Absent, read_manifest

FILE = Path("/etc/obelisk.toml")
ROOM = 64 << 20
"""Bytes that reading a manifest may take for a moment; before they were bounded, long lines took gigabytes."""


def refusal(data: bytes | str) -> str:
    """Read a manifest, and give what is said of it, as it is printed."""
    source = data if isinstance(data, bytes) else data.encode()
    try:
        return render(draft(source, FILE).diagnostics)
    except ManifestError as error:
        return render(error.diagnostics)


def named(directory: Path, path: str) -> Manifest:
    return load(f"[[activity]]\nname = 'c'\npath = {path!r}".encode(), directory / "obelisk.toml")


def test_a_path_that_leads_out_of_the_manifests_directory_shows_nothing_of_its_file(tmp_path: Path) -> None:
    """An operator may name any file; one that is no component is refused by its digest, and its content is not told."""
    (tmp_path / "secret").write_text("canary-of-a-file")
    inside = tmp_path / "in" / "side"
    inside.mkdir(parents=True)
    for path in ("../../secret", str(tmp_path / "secret"), "./../side/../../secret"):
        files, diagnostics = read_components(named(inside, path))
        assert [one.code for one in diagnostics] == ["missing_digest"]
        assert files.by_digest == {}
        assert "canary" not in render(diagnostics)


@pytest.mark.parametrize("path", ["/etc/../../../../proc/self/environ", "/proc/self/mem", "/dev/stdin"])
def test_a_file_of_the_kernel_is_read_as_any_other_or_refused(tmp_path: Path, path: str) -> None:
    read = read_file(path)
    assert isinstance(read, UnusableFile) or read[0] == digest_of(read[1])


def test_a_link_that_is_swapped_between_the_look_and_the_opening_is_looked_at_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "real.wasm").write_bytes(b"real")
    os.mkfifo(tmp_path / "pipe")
    link = tmp_path / "link.wasm"
    link.symlink_to("real.wasm")
    looked = candidate._must_be_regular

    def look_and_swap(status: os.stat_result) -> None:
        looked(status)
        link.unlink()
        link.symlink_to("pipe")

    monkeypatch.setattr(candidate, "_must_be_regular", look_and_swap)
    read = read_file(str(link))
    assert isinstance(read, UnusableFile)  # and did not wait for somebody to write into the pipe
    assert str(read) == "is a named pipe"


def test_the_bytes_that_have_the_digest_are_the_bytes_that_are_compiled(tmp_path: Path) -> None:
    """A file that is swapped after it was read changes nothing: it is not read twice."""
    (tmp_path / "a.wasm").write_bytes(b"good")
    files, _ = read_components(named(tmp_path, "a.wasm"), dev=True)
    (tmp_path / "a.wasm").write_bytes(b"evil")
    assert files.by_digest == {digest_of(b"good"): b"good"}


def test_devices_pipes_sockets_and_directories_are_no_components(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(tmp_path / "socket"))
        said = {name: str(read_file(name)) for name in ("/dev/zero", "/dev/null", "/dev/tty", str(tmp_path))}
        said |= {name: str(read_file(str(tmp_path / name))) for name in ("pipe", "socket")}
    assert set(said.values()) == {"is a device", "is a directory", "is a named pipe", "is a socket"}


def test_devices_pipes_and_directories_are_no_manifests(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    for file in (Path("/dev/zero"), Path("/dev/null"), tmp_path / "pipe", tmp_path):
        seen = read_manifest(file)
        assert isinstance(seen, Absent)
        assert seen.code == "manifest_not_a_file"


def test_a_manifest_of_200_mb_is_refused_by_its_beginning(tmp_path: Path) -> None:
    file = tmp_path / "obelisk.toml"
    with file.open("wb") as large:
        large.truncate(200 << 20)
    tracemalloc.start()
    seen = read_manifest(file)
    assert isinstance(seen, bytes)
    assert "error[manifest_too_large]: more than 4 MiB" in refusal(seen)
    assert tracemalloc.get_traced_memory()[1] < 4 * MAX_BYTES
    tracemalloc.stop()


def test_a_component_file_that_is_too_large_is_refused_before_it_is_read(tmp_path: Path) -> None:
    file = tmp_path / "large.wasm"
    with file.open("wb") as large:
        large.truncate(candidate.MAX_BYTES + 1)
    tracemalloc.start()
    read = read_file(str(file))
    assert isinstance(read, UnusableFile)
    assert read.code == "file_too_large"
    assert tracemalloc.get_traced_memory()[1] < 1 << 20
    tracemalloc.stop()


NESTING = {
    "arrays": ("a = ", "[", "]"),
    "inline tables": ("a = ", "{a=", "}"),
    "a dotted key": ("", "a.", ""),
    "a header": ("[", "a.", ""),
    "a dotted key inside": ("a = { ", "a.", ""),
    "quoted keys": ("", "'a' . ", ""),
}


@pytest.mark.parametrize("count", [1_000, 100_000])
@pytest.mark.parametrize("kind", NESTING)
def test_nesting_without_end_is_refused_soon(kind: str, count: int) -> None:
    before, part, after = NESTING[kind]
    ends = {"a header": "a]", "a dotted key inside": "a = 1 }", "inline tables": "1"}.get(
        kind, "a = 1" if not after else ""
    )
    assert "too deeply" in refusal(before + part * count + ends + after * count)


def test_a_string_or_a_comment_may_have_many_dots() -> None:
    dots = "a." * 500
    said = refusal(f'[daemon]\nhost = "{dots}" # {dots}\n')
    assert "nest" not in said


LINES = {
    "an array": "x = [" + "1," * 50_000 + "]",
    "an inline table": "x = {" + ",".join(f"a{n} = 1" for n in range(20_000)) + "}",
    "a number": "x = " + "9" * 200_000,
    "a text": "x = '" + "a" * 200_000 + "'",
    "a key": "x" * 200_000 + " = 1",
}


@pytest.mark.parametrize("line", LINES.values(), ids=LINES)
def test_a_line_without_end_takes_little_room_and_is_cut_off_where_it_is_shown(line: str) -> None:
    tracemalloc.start()
    said = refusal(line)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert "error" in said
    assert len(said) < 2_000
    assert peak < ROOM


@pytest.mark.parametrize(
    "text",
    ['[daemon]\nhost = "\x1b[31mred"', "[daemon]\nx\x1b]0;owned\x07 = 1", '[daemon]\n"\\u001b[2J" = 1',
     '[[activity]]\nname = "\\u001b[31m"\npath = "\\u009b31m"', "[daemon]\n\x00 = 1", '[daemon]\n"a\u202eb" = 1',
     "\x85\x9b[31m = 1"],
)  # fmt: skip
def test_control_characters_of_a_manifest_reach_no_terminal(text: str) -> None:
    said = refusal(text)
    assert "error" in said
    assert not {one for one in said if one < " " or "\x7f" <= one < "\xa0" or "\u202a" <= one <= "\u202e"} - {"\n"}


@pytest.mark.parametrize("name", ["\u0430ctivity", "activit\u0443", "\uff41ctivity", "acti\u200bvity", "K-elvin\u212a"])
def test_a_name_that_looks_like_another_is_none(name: str) -> None:
    assert "is not a name" in refusal(f'[[activity]]\nname = "{name}"\npath = "x.wasm"')
