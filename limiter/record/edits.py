"""Entering edits and sign-ins into the record, as they happen and in their own transactions."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.auth import get_user_model
from django.contrib.auth.signals import user_logged_in, user_logged_out, user_login_failed
from django.core.serializers.json import DjangoJSONEncoder
from django.db.models import Model
from django.db.models.signals import pre_delete
from simple_history.signals import post_create_historical_record

from limiter.core.versioned import Form
from limiter.record import chain
from limiter.record.chain import Draft
from quota_platform.base import features, records
from quota_platform.base.features import Audited

_WHAT = {"+": "created", "~": "changed", "-": "deleted"}
_BOOKKEEPING = frozenset({"history_id", "history_date", "history_change_reason", "history_type", "history_user"})


def connect() -> None:
    """Called once, when the features are installed."""
    for model in audited():
        pre_delete.connect(_leaving, sender=model, dispatch_uid=f"record deletions of {model._meta.label}")
    post_create_historical_record.connect(_edited, dispatch_uid="record edits")
    user_logged_in.connect(_signed_in, dispatch_uid="record sign-ins")
    user_logged_out.connect(_signed_out, dispatch_uid="record sign-outs")
    user_login_failed.connect(_refused, dispatch_uid="record refused sign-ins")


def audited() -> dict[type[Model], Audited]:
    """Every model whose edits are recorded, as the features declare them."""
    return {model: how for feature in features.installed() for model, how in feature.audited.items()}


def _leaving(instance: Any, **_: object) -> None:
    """Before anything is deleted: which of the rows that go together goes first is Django's choice.

    The history is written after a row is gone, when its tenant or its person may be gone, too.
    """
    instance._leaving = _whose(instance)


def _whose(row: Any) -> tuple[str, str]:
    """The tenant into whose chain an edit of the row goes, and the row's name."""
    return audited()[type(row)].tenant_id(row), str(getattr(row, "name", ""))


def _edited(instance: Any, history_instance: Any, history_user: Any, **_: object) -> None:
    if (how := audited().get(type(instance))) is None:
        return
    word = how.word
    tenant_id, name = instance._leaving if history_instance.history_type == "-" else _whose(instance)
    before, after = _sides(history_instance)
    what = _WHAT[history_instance.history_type]
    if word == "key" and before and after and before.get("revoked_at") is None and after.get("revoked_at"):
        what = "revoked"
    draft = Draft(
        f"{word}.{what}",
        tenant_id=tenant_id,
        actor=records.name_of(history_user),
        at=history_instance.history_date,
        payload=FORM.named(
            {
                "id": instance.pk,
                "name": name,
                "reason": history_instance.history_change_reason or "",
                "before": before,
                "after": after,
            }
        ),
    )
    chain.append([draft])


def name_in(payload: Any) -> str:
    """What an entry calls the row that was edited; raises :class:`~limiter.core.versioned.Unreadable`."""
    return FORM.take(payload)


FORM: Form[str] = Form("edit", {1: lambda data: str(data["name"])})


def _sides(record: Any) -> tuple[dict[str, Any], dict[str, Any]]:
    """The values before and after a change; of a changed row only the fields that differ."""
    now = _fields(record)
    if record.history_type == "+":
        return {}, now
    if record.history_type == "-":
        return now, {}
    earlier = record.prev_record
    before = _fields(earlier) if earlier else {}
    changed = [name for name, value in now.items() if before.get(name) != value]
    return {name: before.get(name) for name in changed}, {name: now[name] for name in changed}


def _fields(record: Any) -> dict[str, Any]:
    """The fields of a record as JSON has them. Histories leave out secrets."""
    names = (f.attname for f in record._meta.concrete_fields if f.name not in _BOOKKEEPING)
    plain = json.dumps({name: getattr(record, name) for name in names}, cls=DjangoJSONEncoder)
    fields: dict[str, Any] = json.loads(plain)
    return fields


def _signed_in(user: Any, **_: object) -> None:
    chain.append([Draft("sign_in", actor=user.get_username())])


def _signed_out(user: Any, **_: object) -> None:
    if user is not None:
        chain.append([Draft("sign_out", actor=user.get_username())])


def _refused(credentials: dict[str, Any], **_: object) -> None:
    """The name is kept only when somebody has it: people type their password into the wrong field."""
    model = get_user_model()
    name = str(credentials.get(model.USERNAME_FIELD, ""))
    known = "\0" not in name and model._default_manager.filter(**{model.USERNAME_FIELD: name}).exists()
    chain.append([Draft("sign_in.refused", actor=name if known else "")])
