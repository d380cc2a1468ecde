"""The first release kept tokens as they are; here only their hashes. Its rows stay: a process of it may still run."""

from __future__ import annotations

import hashlib
from typing import Any

from django.db import migrations


def hash_tokens(apps: Any, schema_editor: Any) -> None:
    database = schema_editor.connection.alias
    stored = apps.get_model("authtoken", "Token").objects.using(database)
    tokens = apps.get_model("tenants", "ApiToken").objects.using(database)
    tokens.bulk_create(
        [
            tokens.model(
                user_id=row.user_id,
                name="drf_create_token",
                hint=row.key[:8],
                digest=hashlib.sha256(row.key.encode()).hexdigest(),
                created_at=row.created,
            )
            for row in stored.order_by("pk")
        ],
        ignore_conflicts=True,
    )


class Migration(migrations.Migration):
    dependencies = [("tenants", "0013_hash_api_tokens"), ("authtoken", "0004_alter_tokenproxy_options")]
    operations = [migrations.RunPython(hash_tokens, migrations.RunPython.noop, elidable=True)]
