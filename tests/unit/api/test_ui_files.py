"""The files of the web UI keep the house rules, and load nothing that isn't there."""

import re

import pytest

from obelisk_daemon.api.ui.files import DIRECTORY, START, read_files

SCRIPTS = sorted(DIRECTORY.glob("*.js"))
MARKUP = re.compile(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(|new Function|srcdoc")
ELSEWHERE = re.compile(r"""["'(]https?://(?!www\.w3\.org/2000/svg)""")


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_a_script_has_at_most_250_lines_and_says_first_what_it_is_for(script) -> None:
    text = script.read_text()
    assert len(text.splitlines()) <= 250
    assert text.startswith(("/** ", "// "))


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_no_script_makes_markup_of_text(script) -> None:
    assert not MARKUP.search(script.read_text())


@pytest.mark.parametrize("script", SCRIPTS, ids=lambda path: path.name)
def test_what_a_script_imports_is_exported(script) -> None:
    text = script.read_text()
    for names, source in re.findall(r'import \{([^}]*)\} from "\./([^"]+)"', text):
        exporting = (DIRECTORY / source).read_text()
        for name in filter(None, map(str.strip, names.split(","))):
            assert re.search(rf"export (async )?(function|const|class) {name}\b", exporting), f"{name} from {source}"
            assert len(re.findall(rf"\b{name}\b", text)) > 1, f"{name} is not used"


def test_no_file_loads_anything_from_elsewhere() -> None:
    assert not [path.name for path in DIRECTORY.iterdir() if ELSEWHERE.search(path.read_text())]


def test_the_page_names_only_files_that_are_there_and_has_no_script_or_style_in_it() -> None:
    files = read_files()
    text = files[START].content.decode()
    named = re.findall(r'(?:href|src)="ui/([^"]+)"', text)
    assert set(named) <= set(files)
    assert "<style" not in text
    assert not re.search(r"<script(?![^>]*src=)|\son\w+=|\sstyle=", text)


def test_a_tag_changes_with_the_content(tmp_path) -> None:
    file = tmp_path / "one.css"
    file.write_text("a {}")
    before = read_files(tmp_path)["one.css"]
    file.write_text("b {}")
    after = read_files(tmp_path)["one.css"]
    assert before.etag != after.etag
    assert before.media_type == "text/css"
