"""The Celery application; tasks are doors in the ``tasks`` module of each feature."""

from __future__ import annotations

import asyncio
import logging
import os
from typing import Any

from celery import Celery, signals

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "quota_platform.settings")


def _packages() -> list[str]:
    from quota_platform.base import features  # needs models, so Django first

    return [feature.package for feature in features.installed()]


app = Celery("quota_platform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(_packages)

log = logging.getLogger(__name__)


@signals.worker_ready.connect
@signals.beat_init.connect
def _warn_of_the_servers(**_: Any) -> None:
    """Say at start what may be lost by how the servers are set up, as web processes do."""
    for warning in asyncio.run(_warnings()):
        log.warning("%s", warning)


async def _warnings() -> list[str]:
    from limiter import clients
    from limiter.stores import server_settings

    limiter, shared = clients.link(), clients.shared_link()
    try:
        return server_settings.warnings(await server_settings.look(limiter, shared))
    finally:
        for link in filter(None, (limiter, shared)):
            await link.close()
