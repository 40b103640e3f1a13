"""The manifest's page: what is refused and why, what would change, and the way back."""

from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open, manifest_entry, serve
from tests.e2e.daemon import Daemon


@pytest.fixture
def changing(tmp_path: Path, artifacts: Path) -> Iterator[Daemon]:
    daemon = Daemon(tmp_path / "changing", artifacts)
    daemon.write(manifest_entry("fibo-activity"))
    serve(daemon, "--dev")
    yield daemon
    daemon.end()


def write(daemon: Daemon, timeout: str) -> None:
    daemon.write(manifest_entry("fibo-activity"), f'timeout = "{timeout}"\n')


def test_a_refused_change_is_explained_and_the_next_one_becomes_active(changing: Daemon, open_page: Open) -> None:
    changing.expected_errors.add("manifest_refused")
    page = open_page("#/manifest", at=changing)
    expect(page.locator(".facts").first).to_contain_text("generation 1")
    write(changing, "soon")
    told = page.get_by_role("region", name="The last change was refused: parsed")
    expect(told).to_contain_text("obelisk.toml:10:11: error[bad_duration]")
    expect(told).to_contain_text('timeout = "soon"')
    write(changing, "20s")
    expect(page.locator(".facts").first).to_contain_text("generation 2")
    expect(told).to_have_count(0)
    expect(page.locator("tbody tr")).to_have_count(2)
    page.get_by_role("link", name="changes", exact=True).first.click()
    expect(page.locator(".changes")).to_contain_text('timeout "30s" → "20s"')


def test_a_plan_tells_what_would_change_and_a_rollback_undoes_it(changing: Daemon, open_page: Open) -> None:
    page = open_page("#/manifest/plan", at=changing)
    text = changing.manifest.read_text()
    page.get_by_label("Manifest", exact=True).fill(f'{text}timeout = "5s"\n')
    page.get_by_role("button", name="Plan").click()
    expect(page.locator(".change-block")).to_contain_text("fibo-activity")
    expect(page.locator(".change-block")).to_contain_text('"5s"')
    page.get_by_label("Manifest", exact=True).fill(f"{text}time = 5\n")
    page.get_by_role("button", name="Plan").click()
    expect(page.get_by_role("region", name="Diagnostics")).to_contain_text("obelisk.toml:9:1: error[unknown_key]")
    write(changing, "5s")
    expect(page.locator(".facts").first).to_contain_text("generation 2")
    page.get_by_role("button", name="Roll back…").first.click()
    expect(page.get_by_label("Generation")).to_have_value("1")
    page.get_by_role("dialog").get_by_role("button", name="Roll back").click()
    expect(page.locator(".facts").first).to_contain_text("generation 3")
    page.get_by_role("link", name="Text").click()
    expect(page.locator("pre.wit")).not_to_contain_text("timeout")
