"""A person at the browser: visits the dashboard's pages and may be shown handed-in frames instead of the server's."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal

from playwright.sync_api import ConsoleMessage, Page, WebSocketRoute

FRAMES = Path(__file__).parent.parent / "dashboard" / "frames"
AXE = Path(__file__).parent / "vendor" / "axe.min.js"
FEED = re.compile("/ws/dashboard/")

Frame = dict[str, Any]
Theme = Literal["light", "dark"]
THEMES: tuple[Theme, ...] = ("light", "dark")


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


class Visitor:
    """One page and what its console complained about."""

    def __init__(self, page: Page, url: str) -> None:
        self.page = page
        self.url = url
        self.complaints: list[str] = []
        page.on("console", self._listen)
        page.on("pageerror", lambda error: self.complaints.append(str(error)))

    def _listen(self, message: ConsoleMessage) -> None:
        if message.type in ("error", "warning"):
            self.complaints.append(message.text)

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
        feed = Feed(*frames)
        self.page.route_web_socket(FEED, feed.response)
        self.open(path)
        return feed

    def barriers(self, tags: Sequence[str] = ()) -> list[str]:
        """What axe finds wrong with the page for people with disabilities, as it stands: by all its rules, or these."""
        self.page.evaluate(AXE.read_text())
        rules = {"runOnly": list(tags)} if tags else {}
        run = "async (options) => (await axe.run(document, options)).violations"
        found = self.page.evaluate(run, {"resultTypes": ["violations"], **rules})
        return [f"{each['id']}: {node['html'][:160]} {node['any'][:1]}" for each in found for node in each["nodes"]]

    def scrolls_sideways(self) -> bool:
        return bool(self.page.evaluate("document.documentElement.scrollWidth > document.documentElement.clientWidth"))
