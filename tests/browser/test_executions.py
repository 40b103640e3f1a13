"""The list of executions and the page of one, in a browser."""

import re
from collections.abc import Callable

from playwright.sync_api import Page, expect

from tests.browser.conftest import Open
from tests.e2e.daemon import Api, execution_id

FIBO = "testing:fibo/fibo.fibo"
FIBOA = "testing:fibo/workflow.fiboa"
NAP = "testing:sleeper/sleeper.nap"


def rows(page: Page) -> list[str]:
    return [str(row.get_attribute("data-key")) for row in page.locator("table.executions tbody tr").all()]


def test_the_list_shows_executions_and_filters_them(api: Api, open_page: Open) -> None:
    api.call(execution_id(1), FIBO, 10)
    api.call(execution_id(2), FIBOA, 10, 1)
    page = open_page("#/executions")
    expect(page.locator(f"tr[data-key='{execution_id(2)}'] .pill")).to_have_text("ok")
    page.get_by_label("Function").fill("testing:fibo/workflow")
    expect(page).to_have_url(re.compile("ffqn=testing%3Afibo%2Fworkflow"))
    expect(page.locator(f"tr[data-key='{execution_id(1)}']")).to_have_count(0)
    assert execution_id(2) in rows(page)
    page.go_back()
    expect(page.locator(f"tr[data-key='{execution_id(1)}']")).to_be_visible()
    page.get_by_label("State", exact=True).select_option("blocked")
    expect(page).to_have_url(re.compile("state=blocked"))


def test_the_list_has_pages(api: Api, open_page: Open) -> None:
    for number in range(60):
        api.submit(execution_id(100 + number), FIBO, 1)
    api.result(execution_id(159))
    page = open_page("#/executions?ffqn=testing:fibo/fibo.")
    expect(page.locator("table.executions tbody tr")).to_have_count(50)
    first = rows(page)
    page.get_by_role("link", name="Older").click()
    expect(page.get_by_role("link", name="Newest")).to_be_visible()
    expect(page.locator(f"tr[data-key='{first[0]}']")).to_have_count(0)
    assert not set(rows(page)) & set(first)
    page.go_back()
    expect(page.locator(f"tr[data-key='{first[0]}']")).to_be_visible()


def test_an_execution_has_its_values_its_timeline_and_its_log(api: Api, open_page: Open) -> None:
    api.call(execution_id(3), FIBOA, 10, 2)
    page = open_page(f"#/executions/{execution_id(3)}")
    expect(page.get_by_role("heading", level=1)).to_contain_text("testing:fibo/workflow.fiboa")
    expect(page.get_by_role("region", name="Parameters")).to_contain_text("[10, 2]")
    expect(page.get_by_role("region", name="Result")).to_contain_text("{ ok: 55 }")
    # itself and its two children
    expect(page.locator("svg.timeline g.row")).to_have_count(3)
    expect(page.locator("svg.timeline rect.bar.ok")).to_have_count(2)
    events = page.get_by_role("option")
    expect(events).to_have_count(len(api.events(execution_id(3))))
    expect(events.last).to_contain_text("finished")
    page.locator("svg.timeline text.link").first.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("testing:fibo/fibo.fibo")
    expect(page.get_by_role("region", name="Parameters")).to_contain_text("[10]")


def test_the_timeline_is_zoomed_and_moved_by_keys_buttons_and_the_wheel(api: Api, open_page: Open) -> None:
    api.call(execution_id(4), FIBOA, 10, 2)
    page = open_page(f"#/executions/{execution_id(4)}")
    chart = page.locator("svg.timeline")
    shown = re.compile(r"shows ([\d.]+) (m?s|µs), from (-?[\d.]+) (m?s|µs) on")
    expect(chart).to_have_attribute("aria-description", shown)

    def view() -> tuple[float, float]:
        """Give how much is shown and from where on, in microseconds."""
        units = {"µs": 1, "ms": 1_000, "s": 1_000_000}
        found = shown.fullmatch(str(chart.get_attribute("aria-description")))
        assert found
        return float(found[1]) * units[found[2]], float(found[3]) * units[found[4]]

    def after(act: Callable[[], None]) -> tuple[float, float]:
        before = str(chart.get_attribute("aria-description"))
        act()
        expect(chart).not_to_have_attribute("aria-description", before)
        return view()

    whole = view()
    zoomed = after(lambda: chart.press("+"))
    assert zoomed[0] < 0.7 * whole[0]
    assert zoomed[1] > whole[1]
    moved = after(lambda: chart.press("ArrowRight"))
    assert moved[0] == zoomed[0]
    assert moved[1] > zoomed[1]
    wider = after(page.get_by_role("button", name="Zoom out").click)
    assert wider[0] > moved[0]
    box = chart.bounding_box()
    assert box
    page.mouse.move(box["x"] + 600, box["y"] + 40)
    page.mouse.down()
    dragged = after(lambda: page.mouse.move(box["x"] + 700, box["y"] + 40, steps=4))
    page.mouse.up()
    assert dragged[1] < wider[1]
    assert after(lambda: chart.press("0")) == whole


def test_an_execution_is_cancelled_after_a_question(api: Api, open_page: Open) -> None:
    api.submit(execution_id(5), NAP, 3_600_000)
    page = open_page(f"#/executions/{execution_id(5)}", expected=("/cancel",))
    expect(page.get_by_role("region", name="Why it isn't running")).to_contain_text("waits for the delay")
    page.get_by_role("button", name="Cancel…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_role("button", name="Cancel it").click()
    expect(dialog.locator(".problem")).to_contain_text("force it")
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Cancel it").click()
    expect(page.get_by_role("heading", level=1).locator(".pill")).to_have_text("cancelled")
    expect(page.get_by_role("button", name="Retry")).to_be_visible()


def test_a_paused_execution_says_so_and_is_resumed(api: Api, open_page: Open) -> None:
    api.submit(execution_id(6), NAP, 3_600_000)
    page = open_page(f"#/executions/{execution_id(6)}")
    page.get_by_role("button", name="Pause").click()
    expect(page.get_by_role("heading", level=1).locator(".pill")).to_have_text("paused")
    expect(page.get_by_role("region", name="Why it isn't running")).to_contain_text("an operator paused it")
    page.get_by_role("button", name="Resume").click()
    expect(page.get_by_role("heading", level=1).locator(".pill")).not_to_have_text("paused")
    api.request("POST", f"/v1/executions/{execution_id(6)}/cancel", {"force": True})


def test_a_failing_execution_tells_why(api: Api, open_page: Open) -> None:
    api.call(execution_id(7), "testing:faulty-caller/caller.call-trap-no-result")
    page = open_page(f"#/executions/{execution_id(7)}")
    why = page.get_by_role("region", name="Why it failed")
    expect(why).to_contain_text("caused by")
    expect(why.locator(".backtrace").last).to_contain_text("trap")
    page.get_by_role("link", name="Failures").click()
    expect(page.locator(".failures .failure")).to_have_count(1)
    why.get_by_role("link").last.click()
    expect(page.get_by_role("heading", level=1)).to_contain_text("faults.trap-no-result")
    page.get_by_role("link", name="Failures").click()
    expect(page.locator(".failures > .failure")).to_have_count(2)


def test_what_a_guest_gives_is_text(api: Api, open_page: Open) -> None:
    hostile = "<img src=x onerror=alert(1)>\u202e\x07</script>"
    api.call(execution_id(8), "testing:faults/faults.echo-text", hostile)
    page = open_page(f"#/executions/{execution_id(8)}")
    expect(page.get_by_role("region", name="Result")).to_contain_text("<img src=x onerror=alert(1)>⟨U+202E⟩␇</script>")
    expect(page.locator("main img")).to_have_count(0)


def test_an_unknown_execution_is_told(api: Api, open_page: Open) -> None:
    page = open_page(f"#/executions/{execution_id(999)}", expected=(execution_id(999),))
    expect(page.get_by_role("alert")).to_contain_text("execution_not_found")


def test_all_that_match_are_counted_and_then_cancelled(api: Api, open_page: Open) -> None:
    for number in (10, 11, 12):
        body = {"ffqn": NAP, "params": [3_600_000], "tags": {"batch": "b1"} if number > 10 else {}}
        api.request("PUT", f"/v1/executions/{execution_id(number)}", body)
    page = open_page("#/executions")
    expect(page.get_by_role("button", name="Act on all…")).to_be_disabled()
    page.get_by_text("Filters", exact=True).click()
    page.get_by_label("Tags").fill("batch=b1")
    page.get_by_label("Tags").press("Enter")
    expect(page.locator("table.executions tbody tr")).to_have_count(2)
    expect(page.locator("table.executions .chip.tag").first).to_have_text("batch=b1")
    page.get_by_role("button", name="Act on all…").click()
    dialog = page.get_by_role("dialog")
    expect(dialog).to_contain_text("2 executions would be asked to cancel")
    dialog.get_by_role("checkbox").check()
    dialog.get_by_role("button", name="Do it").click()
    expect(page.locator("#notices")).to_contain_text("2 executions changed")
    expect(page.locator("table.executions .pill", has_text="cancelled")).to_have_count(2)
    assert api.show(execution_id(10))["state"] == "blocked"
    api.request("POST", f"/v1/executions/{execution_id(10)}/cancel", {"force": True})


def test_all_that_match_are_retried(api: Api, open_page: Open) -> None:
    body = {"ffqn": FIBO, "params": [7], "tags": {"again": "yes"}}
    assert api.request("PUT", f"/v1/executions/{execution_id(30)}", body)[0] == 201
    api.result(execution_id(30))
    page = open_page("#/executions?tag=again%3Dyes&state=finished")
    page.get_by_role("button", name="Act on all…").click()
    dialog = page.get_by_role("dialog")
    dialog.get_by_label("Action").first.select_option("retry")
    expect(dialog).to_contain_text("1 execution would be asked to retry")
    dialog.get_by_role("button", name="Do it").click()
    expect(page.locator("#notices")).to_contain_text("1 execution changed, 0 as they were, 0 refused")
    expect(page.get_by_role("row")).to_have_count(3)  # with the heads of the columns
