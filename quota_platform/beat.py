"""What Celery's clock asks for, how often, and in which queue it waits: from the features' declarations."""

from __future__ import annotations

from typing import Any

from celery import Celery
from kombu import Queue

from quota_platform.base import features
from quota_platform.base.features import Periodic
from quota_platform.broker import PERIODIC


def periodic() -> list[Periodic]:
    return [task for feature in features.installed() for task in feature.periodic]


def every_s(task: str) -> float:
    """How often the clock asks for a task."""
    return next(each.every_s for each in periodic() if each.task == task)


def queue_of(task: str) -> str:
    """Where the message of a periodic task waits, alone."""
    return PERIODIC + task.rpartition(".")[2]


def queues() -> list[Queue]:
    """The first is for all that is not periodic."""
    return [Queue("celery"), *(Queue(queue_of(each.task)) for each in periodic())]


def configure(app: Celery) -> None:
    """Called once, when Django is ready and every feature is installed."""
    schedule: dict[str, Any] = {each.name: {"task": each.task, "schedule": each.every_s} for each in periodic()}
    routes = {each.task: {"queue": queue_of(each.task)} for each in periodic()}
    app.conf.update(beat_schedule=schedule, task_routes=routes, task_queues=queues())
