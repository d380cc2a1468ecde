"""A person's language and time zone as their session holds them, so that pages read no row for them."""

from __future__ import annotations

from django.contrib.sessions.backends.base import SessionBase

LANGUAGE, TIME_ZONE = "language", "time_zone"
_HELD = "preferences"


def held(session: SessionBase | None, name: str) -> str:
    """Empty: the person has chosen none, or nobody is signed in."""
    chosen = session.get(_HELD) if session is not None else None
    return str(chosen.get(name, "")) if isinstance(chosen, dict) else ""


def hold(session: SessionBase, chosen: dict[str, str]) -> None:
    """Until the next time; a session that holds the same already is not written again."""
    if session.get(_HELD, {}) != chosen:
        session[_HELD] = chosen
