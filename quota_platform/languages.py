"""The languages of pages: those that have catalogues. Everything that programs read stays English."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

from asgiref.sync import iscoroutinefunction, sync_to_async
from django.conf import settings
from django.conf.locale import LANG_INFO
from django.http import HttpRequest, HttpResponseBase
from django.utils import translation
from django.utils.cache import patch_vary_headers
from django.utils.decorators import sync_and_async_middleware

from quota_platform.base import preferences

CATALOGUE = "browser.json"
_PROGRAMS = "/api/"


def found(directory: Path) -> list[tuple[str, str]]:
    """Each language with a catalogue in ``directory``, as the setting LANGUAGES has them: code and own name.

    A directory is named as gettext names it, ``pt_BR``; the code of that language is ``pt-br``. One that Django does
    not know goes by its code.
    """
    codes = sorted(translation.to_language(file.parent.name) for file in directory.glob(f"*/{CATALOGUE}"))
    return [(code, LANG_INFO.get(code, {}).get("name_local", code).capitalize()) for code in codes]


@sync_and_async_middleware
def page_language(get_response: Callable[[HttpRequest], Any]) -> Callable[[HttpRequest], Any]:
    """Pages are in the language of the reader's account or cookie, or else in the first that their browser requests.

    Unlike Django's LocaleMiddleware this leaves the API alone: ``Accept-Language`` changes none of its responses.
    """
    if iscoroutinefunction(get_response):

        async def respond_async(request: HttpRequest) -> HttpResponseBase:
            with translation.override(await sync_to_async(_chosen)(request)):
                response: HttpResponseBase = await get_response(request)
            return _named(request, response)

        return respond_async

    def respond(request: HttpRequest) -> HttpResponseBase:
        with translation.override(_chosen(request)):
            response: HttpResponseBase = get_response(request)
        return _named(request, response)

    return respond


def _chosen(request: HttpRequest) -> str:
    if request.path_info.startswith(_PROGRAMS):
        return settings.LANGUAGE_CODE
    language = _kept(request) or translation.get_language_from_request(request)
    request.LANGUAGE_CODE = language
    return language


def _kept(request: HttpRequest) -> str:
    """The account's own; empty for visitors, and for one whose catalogue is gone."""
    language = preferences.held(getattr(request, "session", None), preferences.LANGUAGE)
    return language if language in dict(settings.LANGUAGES) else ""


def _named(request: HttpRequest, response: HttpResponseBase) -> HttpResponseBase:
    if not request.path_info.startswith(_PROGRAMS):
        patch_vary_headers(response, ("Accept-Language", "Cookie"))
        response.headers.setdefault("Content-Language", getattr(request, "LANGUAGE_CODE", settings.LANGUAGE_CODE))
    return response
