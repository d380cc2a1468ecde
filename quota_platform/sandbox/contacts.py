"""The contacts and work items that calls have made, so that a signal can tell a known contact from an unknown one."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

from quota_platform.sandbox.fields import ControlError, Fields

KEEP = 50_000
FIRST_ID = 35_049_366_000


class Contacts:
    """Contact id → the business unit it belongs to; the newest 50,000."""

    def __init__(self) -> None:
        self._unit_of: OrderedDict[int, int] = OrderedDict()
        self._last = FIRST_ID
        self.scripts: frozenset[str] = frozenset()
        """Script paths and ids that exist; empty: every script does."""
        self.start_status = 200
        self.work_item_body = False

    def create(self, unit: int) -> int:
        self._last += 1
        self._unit_of[self._last] = unit
        if len(self._unit_of) > KEEP:
            self._unit_of.popitem(last=False)
        return self._last

    def unit_of(self, contact: str) -> int | None:
        return self._unit_of.get(int(contact)) if contact.isdecimal() else None

    def change(self, fields: Fields) -> dict[str, Any]:
        """Set what NICE's sources disagree on: which scripts exist, 200 or 202 for a start, a body for a work item."""
        names = fields.raw("scripts")
        if names is not None and (not isinstance(names, list) or not all(isinstance(n, str) for n in names)):
            raise ControlError("scripts", problem="It is not a list of strings.", remedy="Send script paths or ids.")
        start_status = fields.whole("start_status", low=200, high=202, default=self.start_status)
        work_item_body = fields.flag("work_item_body", default=self.work_item_body)
        fields.done()
        self.scripts = self.scripts if names is None else frozenset(names)
        self.start_status, self.work_item_body = start_status, work_item_body
        return {"scripts": sorted(self.scripts), "start_status": start_status, "work_item_body": work_item_body}

    def clear(self) -> None:
        self._unit_of.clear()
        self.scripts = frozenset()
        self.start_status = 200
        self.work_item_body = False
