"""Who may use a management route: Django's model permissions, reading included."""

from __future__ import annotations

from rest_framework.permissions import DjangoModelPermissions
from rest_framework.request import Request
from rest_framework.views import APIView


class ModelPermissions(DjangoModelPermissions):
    """Reading needs ``view``, POST ``add``, PUT and PATCH ``change``, DELETE ``delete``.

    A POST to an existing row (``…/revoke``) changes it, so it needs ``change``, or the right that the route names for
    it in ``enough`` (action -> permission). A route that shows rows of other models inside its own names them in
    ``also_shows``; their ``view`` is needed too.
    """

    perms_map = {
        "GET": ["%(app_label)s.view_%(model_name)s"],
        "HEAD": ["%(app_label)s.view_%(model_name)s"],
        "OPTIONS": ["%(app_label)s.view_%(model_name)s"],
        "POST": ["%(app_label)s.add_%(model_name)s"],
        "PUT": ["%(app_label)s.change_%(model_name)s"],
        "PATCH": ["%(app_label)s.change_%(model_name)s"],
        "DELETE": ["%(app_label)s.delete_%(model_name)s"],
    }

    def has_permission(self, request: Request, view: APIView) -> bool:
        if not request.user or not request.user.is_authenticated:
            return False
        enough = getattr(view, "enough", {}).get(getattr(view, "action", None))
        if enough is not None and request.user.has_perm(enough):
            return True
        method = request.method or "GET"
        if method == "POST" and getattr(view, "detail", False):
            method = "PATCH"
        needed = self.get_required_permissions(method, self._queryset(view).model)
        if method in ("GET", "HEAD", "OPTIONS"):
            for model in getattr(view, "also_shows", ()):
                needed += self.get_required_permissions(method, model)
        return request.user.has_perms(needed)
