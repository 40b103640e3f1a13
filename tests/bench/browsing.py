"""How soon whoever looks at a page of the web UI sees what was committed: from the time that it has to the DOM."""

import contextlib
import shutil
import socket
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Final

from playwright.sync_api import Browser, Page, sync_playwright

from tests.bench.daemon import Daemon

CHROMIUM: Final = shutil.which("chromium")
_ARGUMENTS: Final = ["--no-sandbox", "--disable-gpu", "--disable-background-networking", "--no-first-run"]
_SETTLES: Final = 1.0
"""Seconds that a page has to draw what came last."""
_APART: Final = 5.0
"""Milliseconds that the clocks of the browser and of the daemon may be apart."""
_WATCH: Final = """
  const seen = (window.seen = {});
  const look = () => {
    const now = performance.timeOrigin + performance.now();
    for (const row of document.querySelectorAll("[id^='event-']")) seen[row.id.slice(6)] ??= now;
    for (const row of document.querySelectorAll("tr[data-key]")) {
      seen[row.dataset.key] ??= now;
      if (row.querySelector(".pill")?.textContent === "ok") seen[`${row.dataset.key} ok`] ??= now;
    }
  };
  new MutationObserver(look).observe(document, { subtree: true, childList: true, characterData: true });
"""
"""Writes down when each event of a log, and each row of a list and its end, is first in the page, in ms."""


def free_port() -> int:
    """Give a port that nobody listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@contextlib.contextmanager
def launched() -> Iterator[Browser]:
    """Run Chromium without a window."""
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield browser
        browser.close()


def log_latencies(browser: Browser, daemon: Daemon, execution_id: str, work: Callable[[], object]) -> list[float]:
    """Look at the page of an execution while `work` is done; give the seconds to each new event in it."""
    page = _open(browser, daemon, f"#/executions/{execution_id}")
    page.wait_for_selector("[id^='event-']")
    ready = _now(page)
    work()
    until = _now(page)
    page.wait_for_timeout(_SETTLES * 1_000)
    seen = page.evaluate("seen")
    page.close()
    path = f"/v1/executions/{execution_id}/events"
    events = daemon.client.get(path, params={"limit": 500}).raise_for_status().json()["events"]
    written = {str(event["version"]): _millis(event["created_at"]) for event in events}
    return [(seen[version] - at) / 1_000 for version, at in written.items() if ready < at <= until]


def list_latencies(
    browser: Browser, daemon: Daemon, submit: Callable[[], str], count: int
) -> tuple[list[float], list[float]]:
    """Look at the list while so many are submitted, one a second; give the seconds to each new row, and to each end."""
    page = _open(browser, daemon, "#/executions")
    page.wait_for_selector("tr[data-key]")
    made = []
    for _ in range(count):
        made.append(submit())
        page.wait_for_timeout(1_000)
    page.wait_for_timeout(_SETTLES * 1_000)
    seen = page.evaluate("seen")
    page.close()
    shown = [daemon.client.get(f"/v1/executions/{one}").raise_for_status().json() for one in made]
    rows = [(seen[one["execution_id"]] - _millis(one["created_at"])) / 1_000 for one in shown]
    ends = [(seen[f"{one['execution_id']} ok"] - _millis(one["changed_at"])) / 1_000 for one in shown]
    return rows, ends


def _open(browser: Browser, daemon: Daemon, address: str) -> Page:
    page = browser.new_page()
    page.add_init_script(_WATCH)
    page.goto(f"{daemon.pages}/{address}")
    page.wait_for_function("document.querySelector('#connection')?.textContent === 'live'")
    return page


def _now(page: Page) -> float:
    before = time.time_ns() / 1e6
    found: float = page.evaluate("performance.timeOrigin + performance.now()")
    assert before - _APART <= found <= time.time_ns() / 1e6 + _APART, "the browser's clock is another one"
    return found


def _millis(written: str) -> float:
    return datetime.fromisoformat(written).timestamp() * 1_000
