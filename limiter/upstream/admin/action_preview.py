"""On an action's page: the request that it makes, for a payload that can be tried out."""

from __future__ import annotations

import json
from typing import Any

from django.http import HttpRequest
from django.utils.translation import gettext as _

from limiter.upstream.errors import NotConfigured, PayloadRefused
from limiter.upstream.outbound import Preview, preview
from quota_platform.base import json_pointer, json_text
from quota_platform.base.admin.panels import Panel, add_panel
from tenants import cost, presets, request_template
from tenants.models import Action
from tenants.spec_rows import action_spec, connection_spec

MAX_CHARS = 10_000


def register() -> None:
    """Called once, when the admin's modules are imported."""
    add_panel(Action, Panel(template="limiter/action_preview.html", fill=_fill))


def _fill(request: HttpRequest, action: Action) -> dict[str, Any]:
    payload = request.GET.get("payload", "")[:MAX_CHARS]
    try:
        payload = payload or json.dumps(_example(action), indent=2)
        read = _read(payload)
        return {"payload": payload, "request": _request(action, read), "cost": cost.of(action, read)}
    except (NotConfigured, PayloadRefused, ValueError) as error:
        return {"payload": payload, "problem": str(error)}


def _read(text: str) -> dict[str, Any]:
    payload = json_text.read(text, storable=False)
    if not isinstance(payload, dict):
        raise ValueError(_('A payload is a JSON object, such as {"orderId": "42"}.'))
    return payload


def _request(action: Action, payload: dict[str, Any]) -> Preview:
    connection = connection_spec(action.tenant.connection)
    return preview(connection, action_spec(action), payload, tenant_id=action.tenant.tenant_id)


def _example(action: Action) -> dict[str, Any]:
    """A payload with every key that the action's templates take, and its cost."""
    kind = presets.KINDS[action.kind]
    texts = [action.path_template or kind.path, *action.query_template.values()]
    named = [name for text in texts for name in request_template.split(text)[1::2]]
    example: dict[str, Any] = {
        key: f"example-{key}" for key in [*named, *action.param_map] if key not in request_template.BUILT_IN
    }
    for token in json_pointer.tokens(action.cost_from)[:1] if action.cost_from.count("/") == 1 else ():
        example.setdefault(token, [])
    return example
