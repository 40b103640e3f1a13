"""What happens is seen as it happens, and what happened can be gone through again."""

import json
import re

from playwright.sync_api import Route, expect

from tests.browser.conftest import Open
from tests.e2e.daemon import Api, execution_id

NAP = "testing:sleeper/sleeper.nap"
APPROVAL = "shop:orders/approval.approve"
DETAILS = {"lines": [], "kind": "gift", "extras": [], "pay": "cash", "raw": [], "rate": 1.0}

COUNTING = """
  window.drawn = 0;
  const count = (all) => (drawn += all.filter((one) => one.target.className === "spacer").length);
  new MutationObserver(count).observe(document, { subtree: true, childList: true });
"""
"""Counts how often the list of events is drawn."""


def test_an_execution_is_followed_to_its_end(api: Api, open_page: Open) -> None:
    api.submit(execution_id(201), NAP, 3_600_000)
    page = open_page(f"#/executions/{execution_id(201)}")
    pill = page.get_by_role("heading", level=1).locator(".pill")
    expect(pill).to_have_text("blocked")
    expect(page.locator("svg.timeline rect.bar.open").first).to_be_visible()
    (delay,) = api.get(f"/v1/executions/{execution_id(201)}/delays")["delays"]
    api.request("POST", f"/v1/delays/{delay['delay_id']}/cancel")
    expect(pill).to_have_text("err")
    expect(page.get_by_role("option").last).to_contain_text("finished")
    expect(page.get_by_role("region", name="Result")).to_contain_text("the delay was cancelled")
    expect(page.locator("svg.timeline rect.bar.open")).to_have_count(0)
    expect(page.get_by_role("region", name="Why it isn't running")).to_have_count(0)


def test_a_page_whose_events_come_in_floods_is_drawn_a_few_times_and_shows_the_last(api: Api, open_page: Open) -> None:
    api.submit(execution_id(222), NAP, 3_600_000)
    api.until(
        execution_id(222), lambda event: event["type"] == "history_event" and event["event"]["type"] == "join_next"
    )
    first, many = api.show(execution_id(222))["version"], 2_000
    opened = {
        "type": "history_event",
        "created_at": "2026-01-01T00:00:00Z",
        "event": {"type": "join_set_create", "join_set": "n:a"},
    }
    flood = [{**opened, "version": first + number} for number in range(many)]
    body = "".join(f"event: event\ndata: {json.dumps(event)}\n\n" for event in flood)
    # the daemon has no state after events that only this test knows of
    page = open_page("#/functions", expected=("/state?",))
    page.evaluate(COUNTING)
    told = [body]
    page.route(
        "**/follow*",
        lambda route: route.fulfill(content_type="text/event-stream", body=told.pop()) if told else route.fallback(),
    )
    page.goto(page.url.partition("#")[0] + f"#/executions/{execution_id(222)}")
    expect(page.get_by_label("Version", exact=True)).to_have_value(str(first + many - 1))
    assert page.evaluate("drawn") < many / 10


def test_the_list_shows_what_comes_and_what_it_becomes(api: Api, open_page: Open) -> None:
    page = open_page("#/executions?ffqn=testing:sleeper")
    expect(page.locator("#connection")).to_have_text("live")
    api.submit(execution_id(202), NAP, 3_600_000)
    row = page.locator(f"tr[data-key='{execution_id(202)}']")
    expect(row.locator(".pill")).to_have_text("blocked")
    api.request("POST", f"/v1/executions/{execution_id(202)}/cancel", {"force": True})
    expect(row.locator(".pill")).to_have_text("cancelled")


def test_an_address_that_changes_while_its_page_is_being_read_is_followed(api: Api, open_page: Open) -> None:
    api.call(execution_id(223), "testing:fibo/workflow.fiboa", 10, 1)
    page = open_page("#/functions")
    held: list[Route] = []
    page.route(f"**/v1/executions/{execution_id(223)}", lambda route: held.append(route))  # noqa: PLW0108 - Playwright writes on what it is given
    page.evaluate(f"location.hash = '#/executions/{execution_id(223)}'")
    expect(page.locator("#main .page")).to_be_empty()
    page.evaluate(f"location.hash = '#/executions/{execution_id(223)}/children'")
    page.keyboard.press("[")
    held.pop().continue_()
    expect(page.get_by_role("tree").get_by_role("treeitem")).to_have_count(1)
    page.keyboard.press("[")
    expect(page.get_by_role("region", name="State")).to_contain_text("State then")


def test_children_are_shown_as_a_tree(api: Api, open_page: Open) -> None:
    api.call(execution_id(203), "testing:nested/outer.run", 10, 2)
    page = open_page(f"#/executions/{execution_id(203)}/children")
    tree = page.get_by_role("tree")
    expect(tree.get_by_role("treeitem")).to_have_count(3)
    expect(tree.locator("ul a", has_text="fibo.fibo")).to_have_count(2)
    tree.get_by_role("link", name="testing:fibo/workflow.fiboa").click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("fiboa")
    page.go_back()
    expect(tree.get_by_role("treeitem")).to_have_count(3)


def test_the_slider_goes_through_the_states(api: Api, open_page: Open) -> None:
    api.call(execution_id(204), "testing:fibo/workflow.fiboa", 10, 2)
    page = open_page(f"#/executions/{execution_id(204)}")
    slider, state = page.get_by_label("Version", exact=True), page.get_by_role("region", name="State")
    expect(state.locator(".pill")).to_have_text("ok")
    # created, locked, join_set_create, join_set_request, join_next
    slider.fill("4")
    expect(page.get_by_role("option", selected=True)).to_contain_text("waits for")
    expect(state.locator(".pill")).to_have_text("blocked")
    expect(state).to_contain_text("1 pending request")
    expect(state).to_contain_text("o:1")
    expect(page.locator("svg.timeline line.cursor")).to_be_attached()
    slider.press("ArrowLeft")
    expect(page.get_by_role("option", selected=True)).to_contain_text("child requested")
    expect(state.locator(".pill")).to_have_text("running")
    slider.press("Home")
    expect(state.locator(".pill")).to_have_text("pending")


def test_a_state_that_took_long_does_not_hold_up_the_next_one_for_long(api: Api, open_page: Open) -> None:
    api.call(execution_id(224), "testing:fibo/workflow.fiboa", 10, 1)
    page = open_page(f"#/executions/{execution_id(224)}")
    slider, state = page.get_by_label("Version", exact=True), page.get_by_role("region", name="State")
    expect(state.locator(".pill")).to_have_text("ok")
    page.evaluate("() => { let now = performance.now(); performance.now = () => now += 1_000 }")
    slider.fill("4")
    expect(state.locator(".pill")).to_have_text("blocked")
    slider.fill("0")
    expect(state.locator(".pill")).to_have_text("pending")


def test_a_stub_that_is_given_its_result_elsewhere_is_seen_to_finish(api: Api, open_page: Open) -> None:
    api.submit(execution_id(205), APPROVAL, 7, DETAILS)
    page = open_page(f"#/executions/{execution_id(205)}")
    expect(page.get_by_role("region", name="Why it isn't running")).to_contain_text("somebody to give it its result")
    api.request("POST", f"/v1/executions/{execution_id(205)}/stub", {"err": "too late"})
    expect(page.get_by_role("region", name="Result")).to_contain_text('{ err: "too late" }')


def test_logs_are_shown(api: Api, open_page: Open) -> None:
    api.call(execution_id(206), "testing:fibo/fibo.fibo", 10)
    page = open_page(f"#/executions/{execution_id(206)}/logs")
    expect(page.get_by_text("Nothing has been logged or printed.")).to_be_visible()


def test_the_dashboard_counts_what_there_is(api: Api, open_page: Open) -> None:
    page = open_page("#/")
    blocked = page.locator("a.stat", has_text=re.compile("blocked"))
    before = int(str(blocked.locator("b").text_content()))
    for number in (207, 208):
        api.submit(execution_id(number), NAP, 3_600_000)
    expect(blocked.locator("b")).to_have_text(str(before + 2))
    expect(page.locator("svg.chart path.line").first).to_be_attached()
    expect(page.get_by_role("region", name="Executors")).to_contain_text("default")
    expect(page.get_by_role("region", name="Queues")).to_contain_text("sleeper workflow")
    blocked.click()
    expect(page.locator(f"tr[data-key='{execution_id(208)}']")).to_be_visible()
    for number in (207, 208):
        api.request("POST", f"/v1/executions/{execution_id(number)}/cancel", {"force": True})


def test_a_line_separator_in_what_a_guest_says_hides_nothing(api: Api, open_page: Open) -> None:
    api.submit(execution_id(220), APPROVAL, 1, DETAILS)
    page = open_page(f"#/executions/{execution_id(220)}")
    expect(page.get_by_role("button", name="Give result…")).to_be_visible()
    expect(page.locator("#connection")).to_have_text("live")
    api.request("POST", f"/v1/executions/{execution_id(220)}/stub", {"err": "one\u2028two"})
    expect(page.get_by_role("heading", level=1).locator(".pill")).to_have_text("err")
    expect(page.get_by_role("region", name="Result")).to_contain_text("one⟨U+2028⟩two")


def test_a_log_that_comes_in_short_pages_is_shown_whole(api: Api, open_page: Open) -> None:
    api.call(execution_id(221), "testing:fibo/workflow.fiboa", 10, 2)
    page = open_page("#/functions")
    page.route(
        re.compile(r"/(events|responses)\?"),
        lambda route: route.continue_(url=re.sub(r"limit=\d+", "limit=1", route.request.url)),
    )
    page.goto(page.url.partition("#")[0] + f"#/executions/{execution_id(221)}")
    expect(page.get_by_role("option").last).to_contain_text("finished")
    expect(page.get_by_role("option", name="…", exact=True)).to_have_count(0)
    number = api.show(execution_id(221))["version"]
    expect(page.locator(".slider output")).to_have_text(f"{number - 1} of {number - 1}")
    page.get_by_label("Version", exact=True).fill("2")
    expect(page.get_by_role("option", selected=True)).to_contain_text("join set create")
