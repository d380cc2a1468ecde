"""The names of time zones are read from the disk once."""

from __future__ import annotations

import pytest

from quota_platform.base import time_zones


def test_names_are_read_from_the_disk_once(monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[None] = []

    def available() -> set[str]:
        read.append(None)
        return {"Europe/Berlin", "UTC"}

    monkeypatch.setattr(time_zones, "available_timezones", available)
    time_zones.names.cache_clear()
    try:
        assert time_zones.names() == time_zones.names() == {"Europe/Berlin", "UTC"}
        assert len(read) == 1
    finally:
        time_zones.names.cache_clear()
