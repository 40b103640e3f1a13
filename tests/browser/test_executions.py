"""The list of executions and the page of one, in a browser."""

import re

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


def wait_for(page: Page, condition: str, before: float) -> None:
    """Wait until the second bar is as wanted."""
    read = "const {x, width} = Object.fromEntries([...bar.attributes].map((one) => [one.name, Number(one.value)]))"
    bar = "const bar = document.querySelectorAll('rect.bar.ok')[1]"
    page.wait_for_function(f"before => {{ {bar}; {read}; return {condition} }}", arg=before)


def test_the_timeline_is_zoomed_by_keys_and_moved(api: Api, open_page: Open) -> None:
    api.call(execution_id(4), FIBOA, 10, 2)
    page = open_page(f"#/executions/{execution_id(4)}")
    bar = page.locator("svg.timeline rect.bar.ok").nth(1)
    chart = page.locator("svg.timeline")
    expect(bar).to_be_visible()

    def width() -> float:
        return float(str(bar.get_attribute("width")))

    before = width()
    chart.press("+")
    wait_for(page, "width > 1.4 * before", before)
    left = float(str(bar.get_attribute("x")))
    chart.press("ArrowRight")
    wait_for(page, "x < before", left)
    chart.press("0")
    wait_for(page, "width == before", before)


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
