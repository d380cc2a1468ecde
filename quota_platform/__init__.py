"""The project: settings, URL roots, servers and the demo that ties the apps together."""

from quota_platform.celery import app as celery_app

__all__ = ["celery_app"]
