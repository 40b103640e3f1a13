"""Functions, and the form that submits."""

import re
from typing import Any

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.e2e.daemon import Api

APPROVE = "shop%3Aorders%2Fapproval.approve"


def submitted(page: Page, api: Api) -> Any:
    expect(page).to_have_url(re.compile("#/executions/E_"))
    return api.show(page.url.rpartition("/")[2])


def test_a_function_is_found_and_submitted_by_a_form(api: Api, open_page: Open) -> None:
    page = open_page("#/functions")
    page.get_by_label("Find a function").fill("workflow.fiboa")
    page.get_by_role("link", name="testing:fibo/workflow.fiboa").click()
    page.get_by_label("n: u8").fill("10")
    page.get_by_label("iterations: u32").fill("2")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("region", name="Result")).to_contain_text("{ ok: 55 }")
    assert submitted(page, api)["params"] == [10, 2]


def test_a_form_has_a_field_for_every_kind_of_type(api: Api, open_page: Open) -> None:
    page = open_page(f"#/functions/{APPROVE}")
    page.get_by_label("order: u64").fill("18446744073709551615")
    page.get_by_label("details.gift_note: some").check()
    page.get_by_label("details.gift_note: string").fill("for\nyou")
    page.get_by_role("button", name="+ item").click()
    page.get_by_label("details.lines[0].0: string").fill("tea")
    page.get_by_label("details.lines[0].1: u32").fill("3")
    page.get_by_label("details.kind: enum").select_option("plain")
    page.get_by_label("rush").check()
    page.get_by_label("details.pay: case").select_option("card")
    page.get_by_label("details.pay.card: string").fill("visa")
    page.get_by_label("details.raw: list<u8>").fill("hé")
    page.get_by_label("details.rate: f64").fill("0.25")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("region", name="Parameters")).to_contain_text("18446744073709551615")
    details = {
        "gift_note": "for\nyou",
        "lines": [["tea", 3]],
        "kind": "plain",
        "extras": ["rush"],
        "pay": {"card": "visa"},
        "raw": [104, 195, 169],
        "rate": 0.25,
    }
    assert submitted(page, api)["params"] == [18446744073709551615, details]


def test_a_number_that_a_double_cannot_hold_goes_there_and_back_exactly(api: Api, open_page: Open) -> None:
    page = open_page(f"#/functions/{APPROVE}")
    page.get_by_role("tab", name="JSON").click()
    details = '{"lines": [], "kind": "gift", "extras": [], "pay": "cash", "raw": [], "rate": 1}'
    page.get_by_label("Parameters as JSON").fill(f"[9007199254740993, {details}]")
    page.get_by_role("tab", name="Form").click()
    expect(page.get_by_label("order: u64")).to_have_value("9007199254740993")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("region", name="Parameters")).to_contain_text("9007199254740993")
    assert submitted(page, api)["params"][0] == 9007199254740993
    # a stub's result is given by a form, too
    page.get_by_role("button", name="Give result…").click()
    page.get_by_label("result.ok: u64").fill("9223372036854775809")
    page.get_by_role("button", name="Give it").click()
    expect(page.get_by_role("region", name="Result")).to_contain_text("{ ok: 9223372036854775809 }")
    assert submitted(page, api)["result"] == {"ok": 9223372036854775809}
    page.get_by_role("link", name="Submit like it…").click()
    expect(page.get_by_label("order: u64")).to_have_value("9007199254740993")


def test_a_value_that_does_not_fit_is_told_at_its_field(api: Api, open_page: Open) -> None:
    page = open_page("#/functions/testing%3Afibo%2Ffibo.fibo")
    page.get_by_label("n: u8").fill("300")
    page.get_by_role("button", name="Submit").click()
    expect(page.locator(".problem")).to_have_text("n: from 0 to 255 (u8)")
    expect(page.get_by_label("n: u8")).to_be_focused()
    page.get_by_label("n: u8").fill("12")
    page.get_by_role("button", name="Submit").click()
    expect(page.get_by_role("region", name="Result")).to_contain_text("{ ok: 144 }")
