"""The demo's receiver for alerts: accepts messages and shows the newest, whatever is in them."""

from __future__ import annotations

import json

from tests.quota_platform.sandbox.conftest import Caller


async def test_delivered_alerts_are_shown_newest_first_and_never_run(caller: Caller) -> None:
    assert b"Nothing yet" in (await caller.send("GET", "/sink/alerts")).raw
    data = {"tenant_id": "acme", "limit": "minute", "threshold_percent": 80, "policy": "<script>alert(1)</script>"}
    message = json.dumps({"type": "alert.started", "version": 1, "data": data})
    headers = {"Content-Type": "application/json", "webhook-id": "msg_1"}
    assert (await caller.send("POST", "/sink/alerts", data=message, headers=headers)).status == 204
    assert (await caller.send("POST", "/sink/alerts", data=b"\xff<b>")).status == 204
    shown = await caller.send("GET", "/sink/alerts")
    text = shown.raw.decode()
    assert "default-src 'none'" in shown.headers["Content-Security-Policy"]
    assert "alert.started: acme minute 80 %" in text and "msg_1" in text
    await caller.send("POST", "/sink/alerts", data=message.replace('"limit"', '"action_id": "look", "limit"'))
    assert "alert.started: acme look minute 80 %" in (await caller.send("GET", "/sink/alerts")).raw.decode()
    event = {"type": "key.created", "version": 1, "data": {"tenant_id": "acme", "key": "IVR"}}
    await caller.send("POST", "/sink/alerts", data=json.dumps(event), headers=headers)
    assert "key.created: acme IVR" in (await caller.send("GET", "/sink/alerts")).raw.decode()
    assert "<script>" not in text and "<b>" not in text
    assert text.index("a message of another form") < text.index("alert.started")
