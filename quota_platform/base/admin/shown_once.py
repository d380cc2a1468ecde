"""A secret on the one page that ever shows it."""

from __future__ import annotations

from typing import Any

from django.contrib import admin
from django.db.models import Model
from django.http import HttpRequest
from django.template.response import TemplateResponse


def show_once(
    request: HttpRequest, template: str, *, title: str, secret: str, of: Model, next_url: str
) -> TemplateResponse:
    """In this response alone: a redirect would have to keep it in between. ``template`` extends shown_once.html."""
    context: dict[str, Any] = {
        **admin.site.each_context(request),
        "title": title,
        "opts": of._meta,
        "object": of,
        "secret": secret,
        "next_url": next_url,
    }
    return TemplateResponse(request, template, context, headers={"Cache-Control": "no-store"})
