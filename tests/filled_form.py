"""What a browser would send for the form of a page, as it stands there."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any


class _Controls(HTMLParser):
    """Collects the successful controls of all forms of a page."""

    def __init__(self) -> None:
        super().__init__()
        self.data: dict[str, Any] = {}
        self._select: dict[str, Any] = {}
        self._textarea = ""

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        given = dict(attrs)
        name = given.get("name") or ""
        if tag == "input" and name:
            self._input(name, given)
        elif tag == "select":
            self._select = {"name": name, "first": None, "chosen": [], "multiple": "multiple" in given}
        elif tag == "option" and self._select:
            value = given.get("value") or ""
            if self._select["first"] is None:
                self._select["first"] = value
            if "selected" in given:
                self._select["chosen"].append(value)
        elif tag == "textarea":
            self._textarea = name
            self.data[name] = ""

    def _input(self, name: str, given: dict[str, str | None]) -> None:
        kind = given.get("type") or "text"
        if kind in ("submit", "button", "file") or (kind in ("checkbox", "radio") and "checked" not in given):
            return
        value = given.get("value") or ("on" if kind == "checkbox" else "")
        if kind == "checkbox" and name in self.data:
            self.data[name] = [*(self.data[name] if isinstance(self.data[name], list) else [self.data[name]]), value]
        else:
            self.data[name] = value

    def handle_data(self, data: str) -> None:
        if self._textarea:
            self.data[self._textarea] += data

    def handle_endtag(self, tag: str) -> None:
        if tag == "textarea":
            # Browsers drop one newline right after the opening tag, and the widget writes one.
            self.data[self._textarea] = self.data[self._textarea].lstrip("\r\n")
            self._textarea = ""
        elif tag == "select" and self._select:
            chosen = self._select["chosen"]
            if self._select["multiple"]:
                self.data[self._select["name"]] = chosen
            elif chosen or self._select["first"] is not None:
                self.data[self._select["name"]] = chosen[-1] if chosen else self._select["first"]
            self._select = {}


def filled_form(page: bytes) -> dict[str, Any]:
    """The fields by name; forms that Django keeps as templates for new lines (``__prefix__``) are left out."""
    controls = _Controls()
    controls.feed(page.decode())
    return {name: value for name, value in controls.data.items() if name and "__prefix__" not in name}


def as_seen(browser: Any, url: str) -> dict[str, Any]:
    """What the page's form brings back to say which version of the row it showed."""
    found = filled_form(browser.get(url).content)
    return {name: found[name] for name in ("_seen", "_row") if name in found}
