"""A page whose errors, and whose requests, are written down."""

from urllib.parse import urlsplit

from playwright.sync_api import ConsoleMessage, Page, Request, Response


class Watched:
    """Watches a page from its first request on. `expected` are parts of the paths that may be refused."""

    def __init__(self, page: Page, host: str, expected: tuple[str, ...]) -> None:
        self.page = page
        self._host = host
        self._expected = expected
        self._wrong: list[str] = []
        page.on("console", self._said)
        page.on("pageerror", lambda error: self._wrong.append(f"error in the page: {error}"))
        page.on("request", self._asked)
        page.on("response", self._answered)

    def check(self) -> None:
        """Fail if anything was wrong."""
        assert not self._wrong, self._wrong

    def _said(self, message: ConsoleMessage) -> None:
        # That a request was refused is said here without its path; `_answered` knows it.
        if message.type in ("error", "warning") and not message.text.startswith("Failed to load resource"):
            self._wrong.append(f"console: {message.text}")

    def _asked(self, request: Request) -> None:
        address = urlsplit(request.url)
        if address.netloc != self._host and address.scheme not in ("data", "blob"):
            self._wrong.append(f"request to {request.url}")

    def _answered(self, response: Response) -> None:
        if response.status >= 400 and not any(part in response.url for part in self._expected):
            self._wrong.append(f"{response.status} of {response.url}")
