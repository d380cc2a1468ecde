"""The Celery application; tasks are doors in the ``tasks`` module of each feature."""

import os

from celery import Celery

os.environ.setdefault("DJANGO_SETTINGS_MODULE", "quota_platform.settings")


def _packages() -> list[str]:
    from quota_platform.base import features  # needs models, so Django first

    return [feature.package for feature in features.installed()]


app = Celery("quota_platform")
app.config_from_object("django.conf:settings", namespace="CELERY")
app.autodiscover_tasks(_packages)
