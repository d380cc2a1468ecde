"""The sandbox's HTTP server: accepts a call, waits for its latency, sends the response."""

from __future__ import annotations

import asyncio
import math

from aiohttp import web

from quota_platform.sandbox import control, endpoints, wire
from quota_platform.sandbox.dispatch import decide
from quota_platform.sandbox.log import LogEntry
from quota_platform.sandbox.responses import Manner, SandboxResponse
from quota_platform.sandbox.state import SandboxState
from quota_platform.sandbox.unit_limits import Pass


class App:
    """Responds to requests on behalf of one :class:`SandboxState`."""

    def __init__(self, state: SandboxState) -> None:
        self.state = state

    async def handle(self, request: web.BaseRequest) -> web.StreamResponse:
        raw_path = request.raw_path
        try:
            body = await request.read() if request.can_read_body else b""
        except web.HTTPRequestEntityTooLarge:
            return web.Response(status=413)
        if raw_path.startswith(control.PREFIX):
            return await self._control(request, raw_path, body)
        path, _, query = raw_path.partition("?")
        entry = self.state.arrive(method=request.method, path=path, query=query, headers=request.headers, body=body)
        return await self._call(request, entry)

    async def _call(self, request: web.BaseRequest, entry: LogEntry) -> web.StreamResponse:
        state = self.state
        admitted: Pass | None = None
        outcome = "client_left"
        try:
            reply, admitted = decide(state, entry)
            await self._wait(entry, reply, admitted)
            entry.status = reply.status
            state.conduct.answered(entry, reply, now=state.now())
            response = await wire.send(request, reply, trace_id=state.trace_id(entry))
            outcome = "answered" if reply.manner in (Manner.WHOLE, Manner.DRIP) else reply.manner.value
            return response
        finally:
            state.depart(entry, outcome=outcome)
            if admitted is not None:
                state.unit_limits.leave(admitted)

    async def _wait(self, entry: LogEntry, reply: SandboxResponse, admitted: Pass | None) -> None:
        """Wait for a place, for the latency of a call that ran, and for what a fault adds."""
        if admitted is not None and admitted.turn is not None:
            await admitted.turn
        ms = reply.pause_ms + self._latency_ms(entry)
        if reply.forever or ms == math.inf:
            await self.state.gate.wait()
        elif ms:
            await asyncio.sleep(ms / 1000)

    def _latency_ms(self, entry: LogEntry) -> float:
        """Refusals come at once; a call that ran takes its time."""
        state = self.state
        if entry.endpoint == endpoints.TOKEN:
            setting = state.token_latency
        elif not entry.ran:
            return 0.0
        elif state.action_latency:
            setting = state.action_latency.get(entry.action or "", state.invoke_latency)
        else:
            setting = state.invoke_latency
        return setting.draw_ms(state.rng, now=entry.at, in_flight=state.counters.in_flight)

    async def _control(self, request: web.BaseRequest, raw_path: str, body: bytes) -> web.StreamResponse:
        order = control.read_order(
            method=request.method,
            raw_path=raw_path,
            body=body,
            authorization=request.headers.get("Authorization", ""),
            connection=request.protocol,
        )
        reply = await control.response(self.state, order)
        return await wire.send(request, reply, trace_id="control")
