"""Every page on a phone, in both colours, and by the keyboard alone."""

import pytest
from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.e2e.daemon import Api, execution_id

PHONE = {"viewport": {"width": 390, "height": 844}, "has_touch": True, "is_mobile": True}
CALLER = "testing:faulty-caller/caller.call-trap-no-result"
TONES = ("ok", "err", "failed", "running", "pending", "blocked", "paused", "cancelling")


@pytest.fixture
def pages(api: Api) -> list[str]:
    """The addresses of all kinds of pages, with something on them."""
    api.call(execution_id(401), CALLER)
    views = [f"#/executions/{execution_id(401)}/{view}" for view in ("history", "children", "logs", "failures")]
    function = "#/functions/shop%3Aorders%2Fapproval.approve"
    manifest = [f"#/manifest/{view}" for view in ("generations", "changes", "plan", "text")]
    return ["#/", "#/executions", *views, "#/functions", function, *manifest]


def settled(page: Page) -> None:
    """Wait until the page has what it shows."""
    expect(page.locator("main h1")).to_be_visible()
    page.wait_for_load_state("load")
    expect(page.locator("main .card, main table").first).to_be_visible()


def test_no_page_is_wider_than_a_phone(pages: list[str], open_page: Open) -> None:
    page = open_page("#/", **PHONE)
    for address in pages:
        page.goto(page.url.partition("#")[0] + address)
        settled(page)
        wide = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert wide == 0, address


@pytest.mark.parametrize("scheme", ["light", "dark"])
def test_every_text_stands_out_from_what_is_behind_it(scheme: str, pages: list[str], open_page: Open) -> None:
    page = open_page("#/", color_scheme=scheme)
    page.wait_for_load_state("load")
    pairs = [("text", "page"), ("text", "panel"), ("dim", "page"), ("dim", "panel"), ("dim", "raised")]
    pairs += [("accent", "panel"), ("on-accent", "accent-fill"), *((tone, f"{tone}-fill") for tone in TONES)]
    pairs += [(tone, "panel") for tone in TONES] + [("running", "panel")]
    contrasts = page.evaluate(CONTRASTS, pairs)
    assert {pair: ratio for pair, ratio in contrasts.items() if ratio < 4.5} == {}
    dark = page.evaluate("getComputedStyle(document.documentElement).backgroundColor")
    assert (dark == "rgb(14, 16, 19)") is (scheme == "dark")


def test_the_switch_keeps_a_theme(open_page: Open) -> None:
    page = open_page("#/", color_scheme="light")
    theme = page.get_by_role("button", name="Theme")
    theme.click()
    theme.click()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    page.reload()
    expect(page.locator("html")).to_have_attribute("data-theme", "dark")
    expect(page.get_by_role("button", name="Theme")).to_have_text("Dark")


def test_all_is_done_by_the_keyboard(api: Api, open_page: Open) -> None:
    page = open_page("#/")
    settled(page)
    press(page, "?")
    expect(page.get_by_role("dialog")).to_contain_text("executions")
    press(page, "Escape")
    press(page, "g", "f")
    expect(page.get_by_role("heading", level=1)).to_have_text("Functions")
    expect(page.get_by_label("Find a function")).to_be_visible()
    press(page, "/")
    page.keyboard.type("fibo.fibo")
    page.keyboard.press("Tab")  # the link to the component's executions follows its digest's button
    page.get_by_role("link", name="testing:fibo/fibo.fibo").focus()
    press(page, "Enter")
    page.get_by_label("n: u8").focus()
    page.keyboard.type("9")
    press(page, "Enter")
    expect(page.get_by_role("region", name="Result")).to_contain_text("{ ok: 34 }")
    expect(page.get_by_role("option", selected=True)).to_contain_text("finished")
    press(page, "[")
    expect(page.get_by_role("option", selected=True)).not_to_contain_text("finished")
    page.get_by_role("listbox").focus()
    press(page, "Home")
    expect(page.get_by_role("option", selected=True)).to_contain_text("created")
    press(page, "g", "e")
    expect(page.locator("table.executions tbody tr").first).to_be_visible()
    press(page, "j", "j")
    chosen = page.locator("tr.current").get_attribute("data-key")
    press(page, "Enter")
    expect(page.locator(".lineage")).to_have_text(str(chosen))


def press(page: Page, *keys: str) -> None:
    for key in keys:
        page.keyboard.press(key)


CONTRASTS = """pairs => {
  const probe = document.body.appendChild(document.createElement("i"));
  const light = (name) => {
    probe.style.color = `var(--${name})`;
    const parts = getComputedStyle(probe).color.match(/[\\d.]+/g).slice(0, 3).map(Number);
    const [r, g, b] = parts.map((c) => c / 255).map((c) => (c <= 0.03928 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4));
    return 0.2126 * r + 0.7152 * g + 0.0722 * b;
  };
  return Object.fromEntries(pairs.map(([one, other]) => {
    const [high, low] = [light(one), light(other)].sort((a, b) => b - a);
    return [`${one} on ${other}`, (high + 0.05) / (low + 0.05)];
  }));
}"""
