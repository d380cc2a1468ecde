"""The sandbox's endpoints by name, and the groups a fault or a latency can be aimed at."""

from __future__ import annotations

TOKEN = "token"
DISCOVERY = "discovery"
WEBACTION = "webaction"
SCRIPT_START = "script_start"
SIGNAL = "signal"
WORK_ITEM = "work_item"
GENESYS_EXECUTE = "genesys_execute"
REST = "rest"
SINK = "sink"
"""Where alerts are delivered to: no endpoint of an upstream."""
RECORDS = "records"
"""Read-only CXone endpoints: business unit, server time, versions, skills."""

INVOKE = frozenset({WEBACTION, SCRIPT_START, SIGNAL, WORK_ITEM, GENESYS_EXECUTE, REST})
ENDPOINTS = frozenset({TOKEN, DISCOVERY, RECORDS}) | INVOKE

CXONE_STYLE = frozenset({WEBACTION, SCRIPT_START, SIGNAL, WORK_ITEM, RECORDS})
"""Endpoints that cannot answer a request without Accept."""

GROUPS: dict[str, frozenset[str]] = {
    "invoke": INVOKE,
    "api": INVOKE | {RECORDS},
    "any": ENDPOINTS,
} | {name: frozenset({name}) for name in ENDPOINTS}
