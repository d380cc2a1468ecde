"""What Celery's clock asks for, and how often. Every task may be missed, or come twice."""

from __future__ import annotations

from typing import Any

from kombu import Queue

from quota_platform.broker import PERIODIC


def _every(seconds: float, task: str) -> dict[str, Any]:
    return {"task": task, "schedule": seconds}


def queue_of(task: str) -> str:
    """Where the message of a periodic task waits, alone."""
    return PERIODIC + task.rpartition(".")[2]


SCHEDULE = {
    "refresh upstream tokens": _every(15, "limiter.tasks.refresh_upstream_tokens"),
    "store events": _every(1, "limiter.tasks.store_events"),
    "store usage": _every(5, "limiter.tasks.store_usage"),
    "watch limits": _every(5, "limiter.tasks.watch_limits"),
    "post alerts": _every(5, "limiter.tasks.post_alerts"),
    "note overrides": _every(10, "limiter.tasks.note_overrides"),
    "anchor the record": _every(300, "limiter.tasks.anchor_record"),
    "order reports": _every(60, "limiter.tasks.order_reports"),
    "mail reports": _every(15, "limiter.tasks.mail_reports"),
    "tend exports": _every(60, "limiter.tasks.tend_exports"),
    "prune": _every(3600, "limiter.tasks.prune"),
    "prune alerts": _every(3600, "limiter.tasks.prune_alerts"),
}
ROUTES = {entry["task"]: {"queue": queue_of(entry["task"])} for entry in SCHEDULE.values()}
QUEUES = [Queue("celery"), *(Queue(route["queue"]) for route in ROUTES.values())]
"""The first is for all that is not periodic."""
