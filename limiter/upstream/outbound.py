"""The request that is sent: a connection, an action and a caller's payload become method, URL and body.

No value can leave its place in the template: each is percent-encoded whole, control characters and dot segments are
refused, and the host comes from the connection alone.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any
from urllib.parse import quote

from django.utils.translation import gettext as _

from limiter.upstream.errors import NotConfigured, PayloadRefused
from tenants import presets, request_template
from tenants.directory import ActionSpec, ConnectionSpec

MAX_URL_CHARS = 4096
_STATIC = frozenset({"services", "action_id"})
Fill = Callable[[dict[str, Any], str], str]
"""From payload and tenant id to a path or a query string, encoded."""


@dataclass(frozen=True, slots=True)
class RequestTemplate:
    """One action, ready to be filled in. ``fixed``: the whole target when no value of a call goes into it."""

    method: str
    sends_body: bool
    fixed: str | None
    path: Fill = field(repr=False)
    query: Fill = field(repr=False)

    def target(self, body: bytes, *, tenant_id: str) -> str:
        """Path and query, encoded; raises :class:`~limiter.upstream.errors.PayloadRefused`."""
        if self.fixed is not None:
            return self.fixed
        payload = _payload(body)
        target = self.path(payload, tenant_id)
        if query := self.query(payload, tenant_id):
            target += "?" + query
        if len(target) > MAX_URL_CHARS:
            said = _("With these values the upstream URL is longer than {most} characters.")
            raise PayloadRefused(said.format(most=MAX_URL_CHARS))
        return target


def compile_plan(connection: ConnectionSpec, action: ActionSpec) -> RequestTemplate:
    """The plan of an action on a connection; raises :class:`~limiter.upstream.errors.NotConfigured`."""
    kind = presets.KINDS.get(action.kind)
    if kind is None or action.kind not in presets.PRESETS[connection.preset].kinds:
        said = _("The connection cannot invoke actions of kind {kind}.")
        raise NotConfigured(said.format(kind=repr(action.kind)))
    template = action.path_template or kind.path
    query = _query(action)
    try:
        parts = _parts(template)
    except request_template.TemplateWrong:
        raise NotConfigured(_("The action's path is not usable; an administrator has to look at it.")) from None
    constants = {"services": presets.services_prefix(connection.api_version), "action_id": _segment(action.action_id)}
    fixed = None
    if query is _nothing and set(parts[1::2]) <= _STATIC:
        fixed = "".join(constants[part] if index % 2 else part for index, part in enumerate(parts))
    method = action.method or kind.method
    return RequestTemplate(
        method=method,
        sends_body=kind.body and method != "GET",
        fixed=fixed,
        path=_path(parts, constants),
        query=query,
    )


@lru_cache(maxsize=1024)
def _parts(template: str) -> tuple[str, ...]:
    """Most actions have the path of their kind."""
    request_template.check_path(template)
    return tuple(request_template.split(template))


def _payload(body: bytes) -> dict[str, Any]:
    try:
        payload = json.loads(body) if body else {}
    except ValueError:
        raise PayloadRefused(_("The body is not JSON.")) from None
    if not isinstance(payload, dict):
        raise PayloadRefused(_("This action takes a JSON object."))
    return payload


def _path(parts: Sequence[str], constants: dict[str, str]) -> Fill:
    def fill(payload: dict[str, Any], tenant_id: str) -> str:
        known = {**constants, "tenant_id": _segment(tenant_id)}
        return "".join(
            (known[part] if part in known else _segment(_scalar(payload, part, required=True))) if index % 2 else part
            for index, part in enumerate(parts)
        )

    return fill


def _nothing(payload: dict[str, Any], tenant_id: str) -> str:
    return ""


def _query(action: ActionSpec) -> Fill:
    """The query of an action's kind: its own parameters, then those of its template."""
    own: Callable[[dict[str, Any]], list[tuple[str, str]]] | None = None
    template = action.query_template
    if action.kind == "script_start":
        own = lambda payload: _script_parameters(action, payload)  # noqa: E731
    elif action.kind == "signal":
        own = lambda payload: _signal_parameters(action, payload)  # noqa: E731
    elif action.kind == "work_item":
        own = lambda payload: [("pointOfContact", action.point_of_contact)]  # noqa: E731
        template = template or tuple(presets.WORK_ITEM_QUERY.items())
    if own is None and not template:
        return _nothing
    compiled = [(name, request_template.split(value)) for name, value in template]

    def fill(payload: dict[str, Any], tenant_id: str) -> str:
        pairs = own(payload) if own else []
        known = {"tenant_id": tenant_id, "action_id": action.action_id}
        for name, parts in compiled:
            value = _filled(parts, payload, known)
            if value is not None:
                pairs.append((name, value))
        return "&".join(f"{quote(name, safe='')}={_encoded(value)}" for name, value in pairs)

    return fill


def _filled(parts: list[str], payload: dict[str, Any], known: dict[str, str]) -> str | None:
    """A query value; None, so that the parameter is left out, when it is one placeholder the payload lacks."""
    alone = len(parts) == 3 and not parts[0] and not parts[2]
    if alone and parts[1] not in known:
        value = payload.get(parts[1])
        if value is None:
            return None
        return _text(parts[1], value)
    return "".join(
        (known[part] if part in known else _scalar(payload, part, required=True)) if index % 2 else part
        for index, part in enumerate(parts)
    )


def _script_parameters(action: ActionSpec, payload: dict[str, Any]) -> list[tuple[str, str]]:
    pairs = [("skillId", action.skill_id), ("scriptId", action.script_id), ("scriptPath", action.script_path)]
    pairs = [(name, value) for name, value in pairs if value]
    if action.param_map:
        values = [_scalar(payload, key) for key in action.param_map]
        for key, value in zip(action.param_map, values, strict=True):
            if "|" in value:
                said = _("{key}: a script's parameter cannot contain |, which separates parameters.")
                raise PayloadRefused(said.format(key=key))
        pairs.append(("Parameters", "|".join(values)))
    return pairs


def _signal_parameters(action: ActionSpec, payload: dict[str, Any]) -> list[tuple[str, str]]:
    names = action.param_map or tuple(f"p{number}" for number in range(1, 10))
    return [
        (f"p{number}", _scalar(payload, key))
        for number, key in enumerate(names, start=1)
        if payload.get(key) is not None
    ]


def _scalar(payload: dict[str, Any], key: str, *, required: bool = False) -> str:
    """One value of the payload as text; a missing one is empty, or refused when ``required``."""
    value = payload.get(key)
    if value is None:
        if required:
            raise PayloadRefused(_("{key}: this action needs a value.").format(key=key))
        return ""
    if isinstance(value, dict | list):
        raise PayloadRefused(_("{key}: a text, a number or true/false is needed here.").format(key=key))
    return _text(key, value)


def _json(key: str, value: object) -> str:
    """``value`` as JSON writes it. JSON has no way to write a number read as infinite, such as 1e400."""
    try:
        return json.dumps(value, allow_nan=False)
    except ValueError:
        said = _("{key}: a number is too large to be sent. Send it as a text.")
        raise PayloadRefused(said.format(key=key)) from None


def _text(key: str, value: object) -> str:
    text = value if isinstance(value, str) else _json(key, value)
    if any(ord(char) < 32 or ord(char) == 127 for char in text):
        raise PayloadRefused(_("{key}: control characters cannot be sent.").format(key=key))
    return text


def _encoded(value: str) -> str:
    try:
        return quote(value, safe="")
    except UnicodeEncodeError:
        raise PayloadRefused(_("A value is not valid Unicode text.")) from None


def _segment(value: str) -> str:
    """A value as one whole segment of a path."""
    if value in ("", ".", ".."):
        raise PayloadRefused(_("An empty value, . and .. cannot stand in the upstream's path."))
    return _encoded(value)


@dataclass(frozen=True, slots=True)
class Preview:
    """The request an action would make, for people: secrets are shown as dots."""

    method: str
    url: str
    headers: tuple[tuple[str, str], ...]
    body: str


def preview(connection: ConnectionSpec, action: ActionSpec, payload: dict[str, Any], *, tenant_id: str) -> Preview:
    """What ``payload`` would send; raises NotConfigured or PayloadRefused with its fault."""
    plan = compile_plan(connection, action)
    body = f"{{{', '.join(f'{json.dumps(key)}: {_json(key, value)}' for key, value in payload.items())}}}".encode()
    base = connection.base_url or _("https://<API host, from CXone>")
    headers = [("Accept", "application/json"), ("Authorization", "Bearer •••"), ("X-Correlation-Id", _("<request id>"))]
    if plan.sends_body:
        headers.append(("Content-Type", "application/json"))
    return Preview(
        method=plan.method,
        url=base + plan.target(body, tenant_id=tenant_id),
        headers=tuple(headers),
        body=json.dumps(payload, indent=2, ensure_ascii=False) if plan.sends_body else "",
    )
