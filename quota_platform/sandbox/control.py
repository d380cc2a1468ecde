"""The control API under ``/__sim__/``: set what shall happen, read what did."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from quota_platform.base.lean.problem import takes
from quota_platform.sandbox import dispatch
from quota_platform.sandbox.endpoints import ENDPOINTS, GROUPS
from quota_platform.sandbox.fields import ControlError, Fields
from quota_platform.sandbox.responses import SandboxResponse, empty, reply, script_response
from quota_platform.sandbox.state import SandboxState

PREFIX = "/__sim__"
LONGEST_WAIT_MS = 60_000
STORIES = ("herd", "hidden_limit", "noisy_neighbour", "shared_herd", "shared_unit", "slow_hour")
"""What demo traffic can play."""


@dataclass(frozen=True, slots=True)
class Order:
    """One control request."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    bearer: bool
    connection: object = None

    def values(self) -> Any:
        """The body's JSON; nothing at all is an empty object."""
        if not self.body.strip():
            return {}
        try:
            return json.loads(self.body)
        except ValueError as error:
            raise ControlError("body", problem=f"It is not JSON ({error}).", remedy="Send a JSON object.") from None

    def fields(self) -> Fields:
        return Fields(self.values())

    def number(self, name: str, *, default: int) -> int:
        """A whole number from the query."""
        text = self.query.get(name, str(default))
        if not text.isdecimal():
            raise ControlError(name, problem=f"{text!r:.60} does not fit.", remedy="Send a whole number, 0 or more.")
        return int(text)


async def response(state: SandboxState, order: Order) -> SandboxResponse:
    """Carry out one order. Mistakes get a 400 and change nothing."""
    name = order.path[len(PREFIX) :].strip("/")
    actions = ORDERS.get(name)
    if actions is None:
        return reply({"error": "There is no such control.", "known": _known()}, status=404)
    action = actions.get(order.method)
    if action is None:
        return reply({"error": takes(list(actions))}, status=405, headers={"Allow": ", ".join(actions)})
    try:
        return await action(state, order)
    except ControlError as error:
        body = {"error": str(error), "field": error.field, "problem": error.problem, "remedy": error.remedy}
        return reply(body, status=400)


def _known() -> list[str]:
    return [f"{method} {PREFIX}/{name}" for name, actions in sorted(ORDERS.items()) for method in actions]


async def _state(state: SandboxState, order: Order) -> SandboxResponse:
    return reply(state.public())


async def _log(state: SandboxState, order: Order) -> SandboxResponse:
    """``since`` (exclusive), ``endpoint``, ``limit``; with ``wait_for=SEQ`` waits until that call has arrived."""
    endpoint = order.query.get("endpoint")
    if endpoint is not None and endpoint not in ENDPOINTS:
        raise ControlError(
            "endpoint", problem=f"{endpoint!r:.60} is unknown.", remedy=f"Known: {', '.join(sorted(ENDPOINTS))}."
        )
    since, limit = order.number("since", default=0), order.number("limit", default=1000)
    wait_for, wait_ms = order.number("wait_for", default=0), order.number("wait_ms", default=10_000)
    if wait_for:
        try:
            async with asyncio.timeout(min(wait_ms, LONGEST_WAIT_MS) / 1000):
                await state.log.reached(wait_for)
        except TimeoutError:
            return reply({"error": f"Call {wait_for} has not arrived.", "last_seq": state.log.last_seq}, status=408)
    entries = state.log.entries(since=since, endpoint=endpoint)[:limit]
    return reply({"entries": [entry.public() for entry in entries], "last_seq": state.log.last_seq})


async def _counters(state: SandboxState, order: Order) -> SandboxResponse:
    return reply(state.counters.public() | {"conduct": state.conduct.public()["breaches"]})


async def _latency(state: SandboxState, order: Order) -> SandboxResponse:
    return reply({"latency": state.put_latency(order.values()).label})


async def _add_faults(state: SandboxState, order: Order) -> SandboxResponse:
    """One rule, or a list of rules of which all are good or none is added."""
    values = order.values()
    rules = values if isinstance(values, list) else [values]
    added = []
    try:
        for rule in rules:
            added.append(state.faults.add(rule))
    except ControlError:
        for fault in added:
            state.faults.clear(fault_id=fault.id)
        raise
    return reply({"faults": [fault.public() for fault in added]}, status=201)


async def _show_faults(state: SandboxState, order: Order) -> SandboxResponse:
    return reply({"faults": state.faults.public()})


async def _clear_faults(state: SandboxState, order: Order) -> SandboxResponse:
    fault_id = order.number("id", default=0) or None
    return reply({"removed": state.faults.clear(fault_id=fault_id)})


async def _revoke(state: SandboxState, order: Order) -> SandboxResponse:
    fields = order.fields()
    client_id = fields.maybe_text("client_id")
    unit = fields.maybe_whole("unit", low=1_000_000, high=9_999_999)
    refresh = fields.flag("refresh_tokens", default=False)
    fields.done()
    return reply({"revoked": state.tokens.revoke(client_id=client_id, unit=unit, refresh=refresh)})


async def _limiter(state: SandboxState, order: Order) -> SandboxResponse:
    state.unit_limits.put(order.fields())
    return reply(state.unit_limits.public())


async def _tokens(state: SandboxState, order: Order) -> SandboxResponse:
    state.tokens.rules.change(order.fields())
    return reply(state.tokens.rules.public())


async def _show_accounts(state: SandboxState, order: Order) -> SandboxResponse:
    return reply(state.accounts.public())


async def _client(state: SandboxState, order: Order) -> SandboxResponse:
    client = state.accounts.put_client(order.fields())
    return reply({"client_id": client.client_id, "unit": client.unit, "auth": client.auth})


async def _access_key(state: SandboxState, order: Order) -> SandboxResponse:
    key = state.accounts.put_access_key(order.fields())
    return reply({"access_key_id": key.key_id, "unit": key.unit})


async def _remove_account(state: SandboxState, order: Order) -> SandboxResponse:
    state.accounts.remove(order.fields())
    return empty(204)


async def _script(state: SandboxState, order: Order) -> SandboxResponse:
    fields = order.fields()
    name = fields.text("action") if "action" in fields else fields.text("endpoint", choices=sorted(GROUPS["invoke"]))
    fields.raw("action")
    state.scripted[name] = script_response(fields)
    return reply({"answers": sorted(state.scripted)})


async def _unscript(state: SandboxState, order: Order) -> SandboxResponse:
    state.scripted.clear()
    return empty(204)


async def _contacts(state: SandboxState, order: Order) -> SandboxResponse:
    return reply(state.contacts.change(order.fields()))


async def _conduct(state: SandboxState, order: Order) -> SandboxResponse:
    return reply(state.conduct.public())


async def _put_conduct(state: SandboxState, order: Order) -> SandboxResponse:
    state.conduct.put(order.fields())
    return reply(state.conduct.public())


async def _show_story(state: SandboxState, order: Order) -> SandboxResponse:
    number, story = state.story
    return reply({"number": number, "story": story})


async def _start_story(state: SandboxState, order: Order) -> SandboxResponse:
    fields = order.fields()
    story = fields.text("story", choices=STORIES)
    fields.done()
    state.story = state.story[0] + 1, story
    return reply({"number": state.story[0], "story": story}, status=202)


async def _clock(state: SandboxState, order: Order) -> SandboxResponse:
    fields = order.fields()
    seconds = fields.number("advance_seconds", low=0, high=31_536_000)
    fields.done()
    state.advance(seconds)
    return reply({"clock": state.now()})


async def _outage(state: SandboxState, order: Order) -> SandboxResponse:
    """Connections are refused for a while; the connection this order came on stays."""
    fields = order.fields()
    seconds = fields.number("for_seconds", low=0.05, high=3600)
    fields.done()
    if state.listener is None:
        return reply({"error": "This sandbox has no listener of its own."}, status=409)
    await state.listener.close(spare=order.connection)
    state.listener.open_after(seconds)
    return reply({"refusing_for_seconds": seconds})


async def _let_go(state: SandboxState, order: Order) -> SandboxResponse:
    state.let_go()
    return empty(204)


async def _reset(state: SandboxState, order: Order) -> SandboxResponse:
    fields = order.fields()
    tokens = fields.flag("tokens", default=False)
    fields.done()
    state.reset(tokens=tokens)
    return reply({"last_seq": state.log.last_seq})


async def _trap(state: SandboxState, order: Order) -> SandboxResponse:
    return dispatch.trapped(state, with_token=order.bearer)


Action = Callable[[SandboxState, Order], Awaitable[SandboxResponse]]
ORDERS: dict[str, dict[str, Action]] = {
    "": {"GET": _state},
    "log": {"GET": _log},
    "counters": {"GET": _counters},
    "latency": {"PUT": _latency},
    "faults": {"GET": _show_faults, "POST": _add_faults, "DELETE": _clear_faults},
    "revoke": {"POST": _revoke},
    "limiter": {"PUT": _limiter},
    "tokens": {"PUT": _tokens},
    "clients": {"GET": _show_accounts, "POST": _client, "DELETE": _remove_account},
    "access-keys": {"GET": _show_accounts, "POST": _access_key, "DELETE": _remove_account},
    "answers": {"PUT": _script, "DELETE": _unscript},
    "contacts": {"PUT": _contacts},
    "conduct": {"GET": _conduct, "PUT": _put_conduct},
    "story": {"GET": _show_story, "POST": _start_story},
    "clock": {"POST": _clock},
    "outage": {"POST": _outage},
    "release": {"POST": _let_go},
    "reset": {"POST": _reset},
    "trap": {"GET": _trap, "POST": _trap, "PUT": _trap},
}


def read_order(*, method: str, raw_path: str, body: bytes, authorization: str, connection: object) -> Order:
    """A control request as it came in."""
    path, _, query = raw_path.partition("?")
    values = {name: texts[-1] for name, texts in parse_qs(query).items()}
    return Order(method, path, values, body, bool(authorization), connection)
