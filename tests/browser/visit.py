"""A person at the browser: visits the dashboard's pages and may be shown handed-in frames instead of the server's.

A page in a tab that stays costs a third of the same page in a new tab of a new context, so one tab serves one test
after the other: :meth:`Visitor.leave` leaves nothing of a test in it.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import ConsoleMessage, Error, Page, Response, WebSocketRoute

from tests.patience import until

FRAMES = Path(__file__).parent.parent / "dashboard" / "frames"
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
FEED = re.compile("/ws/dashboard/")

Frame = dict[str, Any]
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")
COLOURS = ("color-contrast", "link-in-text-block")
"""The rules of axe that a change of the theme can break."""


def frame(name: str, **changes: Any) -> Frame:
    """One of the written frames, with some of its members replaced."""
    read: Frame = json.loads((FRAMES / f"{name}.json").read_text())
    return {**read, **changes}


class Feed:
    """The server's end of the websocket, held by the test."""

    def __init__(self, *first: Frame) -> None:
        self.first = first
        self.opened = 0
        self.asked: list[Any] = []
        self._socket: WebSocketRoute | None = None

    def response(self, socket: WebSocketRoute) -> None:
        self._socket = socket
        self.opened += 1
        socket.on_message(lambda message: self.asked.append(json.loads(message)))
        for each in self.first:
            self.send(each)

    def send(self, each: Frame) -> None:
        assert self._socket is not None
        self._socket.send(json.dumps(each))

    def close(self, code: int = 1012) -> None:
        assert self._socket is not None
        self._socket.close(code=code)


def comes_true(page: Page, expression: str) -> None:
    """Wait until this script is true. Playwright's own wait is JavaScript's ``eval``, which our pages do not allow."""

    def look() -> bool:
        try:
            return bool(page.evaluate(expression))
        except Error:  # it leaves for another page just now
            return False

    until(look, what=expression)


_LEFT = "WebSocket is closed before the connection is established"
"""What Chromium says of a page that is left, or closed, while it still connects; the page does nothing wrong."""


class Visitor:
    """One tab, what its console complained about, and the addresses of responses with an error."""

    def __init__(self, page: Page, url: str) -> None:
        self.url = url
        self.complaints: list[str] = []
        self.missing: list[str] = []
        self.take(page)

    def take(self, page: Page) -> None:
        """Go on in this tab."""
        self.page = page
        self._feed: Feed | None = None
        self._routed = False
        page.on("console", self._listen)
        page.on("response", self._look)
        page.on("pageerror", self._break)

    def _break(self, error: Error) -> None:
        """A script that broke shows nothing more: closing its page ends every wait for the rest."""
        self.complaints.append(str(error))
        self.page.close()

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning") and _LEFT not in message.text:
            self.complaints.append(message.text)

    def _look(self, response: Response) -> None:
        if response.status >= 400:
            self.missing.append(response.url)

    def _serve(self, socket: WebSocketRoute) -> None:
        if self._feed is None:
            socket.connect_to_server()
        else:
            self._feed.response(socket)

    def leave(self) -> None:
        """Empty the tab, and what its pages have stored, for the next visitor; cookies are the context's."""
        self._feed = None
        if not self.page.is_closed():
            self._empty()
        self.complaints.clear()
        self.missing.clear()

    def _empty(self) -> None:
        if self.page.url.startswith(self.url):
            self.page.evaluate("() => { localStorage.clear(); sessionStorage.clear(); }")
            faked = self.page.evaluate("'__pwClock' in window")
            assert not faked, "a clock of its own stays in the context: use a `newcomer`"
        self.page.unroute_all()
        self.page.goto("about:blank")

    def sign_in(self, username: str, password: str) -> None:
        self.open("/dashboard/sign-in/")
        self.page.get_by_label("User name").fill(username)
        self.page.get_by_label("Password").fill(password)
        self.page.get_by_role("button", name="Sign in").click()
        self.page.wait_for_url("**/dashboard/")

    def open(self, path: str) -> None:
        self.page.goto(self.url + path)

    def shown(self, path: str, *frames: Frame) -> Feed:
        """Open a page that gets these frames; the feed stays in the test's hand."""
        feed = self._feed = Feed(*frames)
        if not self._routed:
            self.page.route_web_socket(FEED, self._serve)
            self._routed = True
        self.open(path)
        return feed

    def barriers(self, only: Sequence[str] = ()) -> list[str]:
        """What axe finds wrong with the page for people with disabilities, as it stands: by all its rules, or these.

        ``only``: names of rules, or of the tags that rules have.
        """
        if not self.page.evaluate("'axe' in window"):
            self.page.evaluate(AXE.read_text())
        rules = {"runOnly": list(only)} if only else {}
        run = "async (options) => (await axe.run(document, options)).violations"
        found = self.page.evaluate(run, {"resultTypes": ["violations"], **rules})
        return [f"{each['id']}: {node['html'][:160]} {node['any'][:1]}" for each in found for node in each["nodes"]]

    def barriers_in_both_themes(self) -> list[str]:
        """Of the page as it stands: in the light by all rules, in the dark by those about colours."""
        found = []
        for theme, rules in zip(THEMES, ((), COLOURS), strict=True):
            self.page.emulate_media(color_scheme=theme, reduced_motion="reduce")  # no colour on its way to another
            found += [f"{theme}: {barrier}" for barrier in self.barriers(rules)]
        return found

    def scrolls_sideways(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
