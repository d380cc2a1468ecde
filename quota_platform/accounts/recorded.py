"""Entering changes of second factors into the record."""

from __future__ import annotations

from typing import Any

from allauth.mfa import signals

from limiter.record import chain
from limiter.record.chain import Draft


def connect() -> None:
    """Called once, when Django is ready."""
    signals.authenticator_added.connect(_added, dispatch_uid="record added second factors")
    signals.authenticator_reset.connect(_renewed, dispatch_uid="record renewed recovery codes")
    signals.authenticator_removed.connect(_removed, dispatch_uid="record removed second factors")


def _added(user: Any, authenticator: Any, **_: object) -> None:
    _enter("added", user, authenticator)


def _renewed(user: Any, authenticator: Any, **_: object) -> None:
    _enter("renewed", user, authenticator)


def _removed(user: Any, authenticator: Any, **_: object) -> None:
    _enter("removed", user, authenticator)


def _enter(what: str, user: Any, authenticator: Any) -> None:
    """Of its kind alone: names of keys are people's own, and secrets are secret."""
    name = user.get_username()
    chain.append([Draft(f"second_factor.{what}", actor=name, payload={"account": name, "kind": authenticator.type})])
