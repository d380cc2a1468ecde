"""What Django's system checks say of the stored rows: ``manage.py check --database default``."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from django.core.checks import CheckMessage, Warning
from django.db import connection

from tenants.models import Action, Tenant


def same_but_for_capitals(databases: Sequence[str] | None = None, **_: Any) -> list[CheckMessage]:
    """IDs from before they had to differ in more than capitals. A database that `migrate` is about to fill has none."""
    if not databases or Tenant._meta.db_table not in connection.introspection.table_names():
        return []
    return [
        Warning(
            f"{model._meta.verbose_name} IDs that differ in capitals only: {', '.join(found)}.",
            hint="They go on working. Rename one of each pair when its callers can follow.",
            id=number,
        )
        for model, number in ((Tenant, "tenants.W001"), (Action, "tenants.W002"))
        if (found := model.pairs())
    ]
