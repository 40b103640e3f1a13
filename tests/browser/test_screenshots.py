"""The pictures of the README, where OBELISK_SCREENSHOTS says, such as docs/screenshots; without it nothing is run."""

import os
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.e2e.daemon import Api, execution_id

DIRECTORY = os.environ.get("OBELISK_SCREENSHOTS")
DETAILS = {"lines": [["tea", 2]], "kind": "gift", "extras": ["wrap"], "pay": {"card": "visa"}, "raw": [], "rate": 1.0}
PHONE = {"viewport": {"width": 390, "height": 844}, "is_mobile": True, "has_touch": True}
MOST = 150_000
"""Bytes of a picture."""
pytestmark = pytest.mark.skipif(not DIRECTORY, reason="pictures are only made when OBELISK_SCREENSHOTS says where to")


@pytest.fixture
def scene(api: Api) -> Api:
    """Executions of all kinds and ends."""
    submit(api, 509, "shop:orders/approval.approve", 9007199254740993, DETAILS, shop="berlin", order="1024")
    submit(api, 508, "testing:sleeper/sleeper.nap", 5_400_000, shop="berlin")
    api.call(execution_id(502), "testing:nested/outer.run", 21, 2)
    api.call(execution_id(503), "testing:faults/faults.fail-with", "card declined")
    api.call(execution_id(504), "testing:faulty-caller/caller.call-trap-no-result")
    submit(api, 505, "testing:sleeper/sleeper.nap", 7_200_000, batch="nightly")
    api.request("POST", f"/v1/executions/{execution_id(505)}/pause")
    submit(api, 506, "testing:fanout/fanout.run", 8, 24, batch="nightly", region="eu")
    api.result(execution_id(506))
    return api


def submit(api: Api, number: int, ffqn: str, *params: object, **tags: str) -> None:
    status, document = api.request(
        "PUT", f"/v1/executions/{execution_id(number)}", {"ffqn": ffqn, "params": params, "tags": tags}
    )
    assert status in (200, 201), document


def taken(page: Page, name: str) -> None:
    """Take a picture of what the window shows."""
    assert DIRECTORY
    file = Path(DIRECTORY) / f"{name}.png"
    file.parent.mkdir(parents=True, exist_ok=True)
    page.mouse.move(0, 0)
    page.screenshot(path=file, animations="disabled")
    assert file.stat().st_size < MOST


def test_pictures_are_made(scene: Api, open_page: Open) -> None:
    page = open_page("#/executions", color_scheme="dark", viewport={"width": 1280, "height": 640})
    expect(page.locator("table.executions tbody tr").nth(12)).to_be_attached()
    taken(page, "executions-dark")
    page = open_page(f"#/executions/{execution_id(506)}", color_scheme="light", viewport={"width": 1280, "height": 980})
    expect(page.get_by_role("region", name="State").locator(".pill")).to_be_visible()
    page.get_by_label("Version", exact=True).fill("11")
    expect(page.get_by_role("region", name="State").locator(".pill")).not_to_have_text("ok")
    taken(page, "execution-light")
    page = open_page(f"#/executions/{execution_id(504)}", color_scheme="light", viewport={"width": 1280, "height": 860})
    expect(page.locator(".backtrace").first).to_be_visible()
    taken(page, "failure-light")
    page = open_page("#/functions/shop%3Aorders%2Fapproval.approve?from=" + execution_id(509), color_scheme="dark")
    expect(page.get_by_label("order: u64")).to_have_value("9007199254740993")
    taken(page, "form-dark")
    page = open_page(f"#/executions/{execution_id(506)}", color_scheme="dark", **PHONE)
    expect(page.locator("svg.timeline g.row").nth(4)).to_be_visible()
    taken(page, "phone-dark")


def test_a_picture_of_the_dashboard_is_made(scene: Api, open_page: Open) -> None:
    page = open_page("#/", color_scheme="dark", viewport={"width": 1280, "height": 860})
    for number in range(520, 525):
        submit(scene, number, "testing:fanout/fanout.run", 10 * (number - 517), 20)
        scene.result(execution_id(number))
        told = page.evaluate("document.querySelectorAll('.chart path.line')[0]?.getAttribute('d') ?? ''")
        page.wait_for_function(
            "told => document.querySelectorAll('.chart path.line')[0]?.getAttribute('d').length > told.length + 10",
            arg=told,
        )
    expect(page.locator("main")).to_contain_text(re.compile("Executors"))
    taken(page, "dashboard-dark")
