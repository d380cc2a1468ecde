"""Routes of the management API: the resources and paths that the features declare."""

from __future__ import annotations

from django.urls import path
from django.utils.module_loading import import_string

from quota_platform.base import features
from quota_platform.base.api.router import Router


def name_of(prefix: str) -> str:
    """The base of a resource's route names: ``policies`` is ``api-policy``."""
    one = prefix.removesuffix("ies") + "y" if prefix.endswith("ies") else prefix.removesuffix("s")
    return f"api-{one}"


router = Router()
urlpatterns = []
for feature in features.installed():
    for prefix, resource in feature.resources.items():
        router.register(prefix, import_string(resource), basename=name_of(prefix))
    for route, view in feature.paths.items():
        urlpatterns.append(path(route, import_string(view).as_view(), name=f"api-{route.replace('.', '-')}"))
urlpatterns += router.urls
