"""A real browser before a real daemon. Each test's page must stay free of errors, and talk to nobody else."""

import os
import shutil
from collections.abc import Callable, Iterator
from pathlib import Path
from urllib.parse import urlsplit

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from tests import guests
from tests.browser.watched import Watched
from tests.e2e.daemon import Api, Daemon

CHROMIUM = shutil.which("chromium")
GUESTS = ("fibo-activity", "fibo-workflow", "fanout", "faults", "faulty-caller", "nested", "sleeper")
APPROVAL = '''
[[stub]]
ffqn = "shop:orders/approval.approve"
params = [
  { name = "order", type = "u64" },
  { name = "details", type = """record { gift-note: option<string>, lines: list<tuple<string, u32>>,
    kind: enum { gift, plain }, extras: flags { wrap, rush }, pay: variant { card(string), cash },
    raw: list<u8>, rate: f64 }""" },
]
returns = "result<u64, string>"
'''
Open = Callable[..., Page]
_ARGUMENTS = [
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]


@pytest.fixture(scope="package")
def browser() -> Iterator[Browser]:
    if CHROMIUM is None:
        message = "there is no Chromium: apt-get install chromium"
        if os.environ.get("OBELISK_REQUIRE_BROWSER"):
            pytest.fail(message)
        pytest.skip(message)
    with sync_playwright() as playwright:
        expect.set_options(timeout=4_000)
        launched = playwright.chromium.launch(executable_path=CHROMIUM, args=_ARGUMENTS)
        yield launched
        launched.close()


@pytest.fixture(scope="package")
def daemon(browser: Browser, tmp_path_factory: pytest.TempPathFactory, artifacts: Path) -> Iterator[Daemon]:
    """One daemon for all tests that change nothing but executions; the browser comes first, since it may be missing."""
    daemon = Daemon(tmp_path_factory.mktemp("browser"), artifacts)
    daemon.write(*(manifest_entry(name) for name in GUESTS), APPROVAL)
    try:
        serve(daemon, "--dev")
        yield daemon
        assert daemon.terminate() == 0
    finally:
        daemon.end()


@pytest.fixture
def api(daemon: Daemon) -> Iterator[Api]:
    """A connection of one test: the daemon closes those that are silent for long."""
    connection = daemon.new_api()
    yield connection
    connection.close()


@pytest.fixture
def open_page(browser: Browser, daemon: Daemon) -> Iterator[Open]:
    """Open a page of the daemon, or of another one, in a window of its own."""
    opened: list[Watched] = []

    def open_at(address: str = "#/", *, at: Daemon = daemon, expected: tuple[str, ...] = (), **context: object) -> Page:
        new = browser.new_context(**{"viewport": {"width": 1280, "height": 860}, **context})
        page = new.new_page()
        opened.append(Watched(page, urlsplit(url_of(at)).netloc, expected))
        page.goto(url_of(at) + address)
        return page

    yield open_at
    for watched in opened:
        watched.check()
        watched.page.context.close()


def manifest_entry(name: str) -> str:
    settings = {"max_retries": 1, "backoff": {"initial": "20ms"}} if name == "faults" else {}
    return guests.manifest_entry(name, **settings)


def serve(daemon: Daemon, *arguments: str) -> None:
    """Start a daemon that also listens on a port."""
    daemon.start("--listen", f"unix:{daemon.state_dir / 'api.sock'}", "--listen", "127.0.0.1:0", *arguments)


def url_of(daemon: Daemon) -> str:
    """Give the address of the web UI."""
    port = daemon.process.until_logged("ready")["listen"][1]
    return f"http://{port}/"
