"""The lines of the README's chapter about the API do what they say there."""

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.e2e.daemon import Daemon, run, running
from tests.guests import manifest_entry

README = (Path(__file__).resolve().parents[2] / "README.md").read_text()
CHAPTER = README.partition("\n### API\n")[2].partition("\n### ")[0]
LINES = [line.removeprefix("$ ") for line in CHAPTER.partition("```console\n")[2].partition("```")[0].splitlines()]
SETUP = [line for line in LINES if not line.startswith("api ")]
# what a line asks for is printed before the status, on a line of its own
STATUS = "curl() { command curl --write-out '\\n%{http_code}' \"$@\"; }"
CALLS = [line for line in LINES if line.startswith("api ")]


@pytest.fixture(scope="module")
def daemon(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> Iterator[Daemon]:
    tables = [manifest_entry("fibo-activity"), manifest_entry("fibo-workflow")]
    with running(tmp_path_factory.mktemp("readme"), artifacts, *tables) as daemon:
        (daemon.directory / ".obelisk").symlink_to(daemon.state_dir)
        yield daemon


def answer(daemon: Daemon, line: str) -> tuple[int, str]:
    ended = run(["bash", "-c", "\n".join([STATUS, *SETUP, line])], daemon.directory, OBELISK_TOKEN="obk_x")
    assert (ended.code, ended.err) == (0, ""), ended
    body, _, status = ended.out.rpartition("\n")
    return int(status), body


def test_every_line_is_answered_as_its_comment_says(daemon: Daemon) -> None:
    assert len(CALLS) >= 8
    for line in CALLS:
        command, _, comment = line.partition("  #")
        status, body = answer(daemon, command)
        assert status == int(comment.strip()[:3]), (line, body)
        for quoted in re.findall(r'"code": "(\w+)"', comment):
            assert f'"code":"{quoted}"' in body
        if "server-sent" in comment:
            assert "event: finished\n" in body
        if "/result" in command:
            assert body == '{"ok":55}'
        if "did you mean" in comment:
            assert comment.partition(";")[2].strip() in body


def test_submitting_again_is_answered_with_200_and_another_call_with_409(daemon: Daemon) -> None:
    (submit,) = (line.partition("  #")[0] for line in CALLS if "PUT" in line)
    answer(daemon, submit)
    assert answer(daemon, submit)[0] == 200
    assert answer(daemon, f"call=${{call/10/11}}; {submit}")[0] == 409
