"""Routes of the management API: the resources and paths that the features declare."""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, path
from django.utils.module_loading import import_string
from rest_framework.routers import SimpleRouter

from quota_platform.base import features
from quota_platform.rollout import RolloutView


class Router(SimpleRouter):
    """Takes a path with and without the slash at its end: Django's redirect would lose the body of a POST."""

    def __init__(self) -> None:
        super().__init__()
        self.trailing_slash = "/?"


def name_of(prefix: str) -> str:
    """The base of a resource's route names: ``policies`` is ``api-policy``."""
    one = prefix.removesuffix("ies") + "y" if prefix.endswith("ies") else prefix.removesuffix("s")
    return f"api-{one}"


router = Router()
urlpatterns: list[URLPattern | URLResolver] = [path("rollout/", RolloutView.as_view(), name="api-rollout")]
for feature in features.installed():
    for prefix, resource in feature.resources.items():
        router.register(prefix, import_string(resource), basename=name_of(prefix))
    for route, view in feature.paths.items():
        urlpatterns.append(path(route, import_string(view).as_view(), name=f"api-{route.replace('.', '-')}"))
urlpatterns += router.urls
