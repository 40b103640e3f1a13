"""Tokens: asked for, taken from the address, and what their role allows."""

import json
from collections.abc import Iterator
from pathlib import Path

import pytest
from playwright.sync_api import expect

from tests.browser.conftest import Open, manifest_entry, serve
from tests.e2e.daemon import Daemon, execution_id


@pytest.fixture(scope="module")
def guarded(tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> Iterator[tuple[Daemon, str, str]]:
    """A daemon that wants a token, with one that may read and one that may do everything."""
    daemon = Daemon(tmp_path_factory.mktemp("guarded"), artifacts)
    daemon.write(manifest_entry("fibo-activity"), manifest_entry("sleeper"))
    made = [
        json.loads(
            daemon.ctl("token", "new", "--role", role, "--name", role, "--add-to", str(daemon.manifest), "--json").out
        )
        for role in ("read", "admin")
    ]
    serve(daemon)
    yield daemon, made[0]["token"], made[1]["token"]
    daemon.end()


def test_a_token_is_asked_for_and_a_wrong_one_refused(guarded: tuple[Daemon, str, str], open_page: Open) -> None:
    daemon, _, admin = guarded
    page = open_page("#/executions", at=daemon, expected=("/v1/",))
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("This daemon wants a token")
    dialog.get_by_label("Token", exact=True).first.fill("obk_wrong")
    dialog.get_by_role("button", name="Use it").click()
    expect(dialog).to_contain_text("This token was refused")
    dialog.get_by_label("Token", exact=True).first.fill(admin)
    dialog.get_by_role("button", name="Use it").click()
    expect(page.locator("#who")).to_contain_text("admin · admin")
    expect(page.get_by_text("Nothing has been submitted yet")).to_be_visible()


def test_a_token_in_the_address_is_taken_out_of_it(guarded: tuple[Daemon, str, str], open_page: Open) -> None:
    daemon, _, admin = guarded
    page = open_page(f"#token={admin}", at=daemon)
    expect(page.locator("#who")).to_contain_text("admin · admin")
    assert admin not in page.url
    page.reload()
    expect(page.locator("#who")).to_contain_text("admin · admin")
    assert page.evaluate("localStorage.length") == 0


def test_a_token_in_an_address_that_is_opened_in_the_same_tab_is_taken_too(
    guarded: tuple[Daemon, str, str], open_page: Open
) -> None:
    daemon, read, admin = guarded
    page = open_page(f"#token={read}", at=daemon)
    expect(page.locator("#who")).to_contain_text("read · read")
    page.goto(page.url.partition("#")[0] + f"#token={admin}")
    expect(page.locator("#who")).to_contain_text("admin · admin")
    assert admin not in page.url


def test_a_token_that_may_only_read_sees_everything_and_can_press_nothing(
    guarded: tuple[Daemon, str, str], open_page: Open
) -> None:
    daemon, read, _ = guarded
    api = daemon.new_api()
    api.submit(execution_id(301), "testing:sleeper/sleeper.nap", 3_600_000)
    page = open_page(f"#token={read}", at=daemon)
    expect(page.locator("#who")).to_contain_text("read · read")
    page.goto(page.url.partition("#")[0] + f"#/executions/{execution_id(301)}")
    expect(page.get_by_role("heading", level=1).locator(".pill")).to_have_text("blocked")
    for name in ("Cancel…", "Pause", "Upgrade…"):
        expect(page.get_by_role("button", name=name)).to_be_disabled()
    page.goto(page.url.partition("#")[0] + "#/manifest")
    expect(page.get_by_role("button", name="Reload…")).to_be_disabled()
    page.goto(page.url.partition("#")[0] + "#/functions/testing%3Afibo%2Ffibo.fibo")
    expect(page.get_by_role("button", name="Submit")).to_be_disabled()
    api.close()
