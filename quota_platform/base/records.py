"""Records of a history: who made one, and why."""

from __future__ import annotations

from typing import Any


def name_of(person: Any) -> str:
    """The user name; empty for a command, a task, and a person who is deleted since."""
    return str(person.get_username()) if person else ""


def editor(record: Any) -> str:
    """Select ``history_user`` with the records, else each of them reads its own."""
    return name_of(record.history_user)


def reason(record: Any) -> str:
    return record.history_change_reason or ""
