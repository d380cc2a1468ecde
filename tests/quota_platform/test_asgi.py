"""What Django's pages believe of a request's way here: what trusted proxies say, and nothing a caller writes."""

from __future__ import annotations

import sys
from types import SimpleNamespace
from typing import Any

import pytest
from pytest_django import Settings

from quota_platform import asgi
from quota_platform.server.pages import Pages
from tests.asgi import Answered, Caller

pytestmark = pytest.mark.django_db(transaction=True)
PROXY = "10.0.3.1"


@pytest.fixture(autouse=True)
def behind_tls(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    settings.ENV = settings.ENV.model_copy(update={"TRUSTED_PROXIES": [PROXY]})
    settings.SECURE_SSL_REDIRECT = True
    monkeypatch.setattr(asgi, "django_application", Pages())  # its middleware reads settings once


async def sign_in_page(client: str, *headers: tuple[str, str]) -> Answered:
    return await Caller(asgi.application, {}).call(
        "GET", "/accounts/sign-in/", client=client, headers=[("Host", "testserver"), *headers]
    )


async def test_only_a_trusted_proxy_says_that_the_caller_came_over_tls() -> None:
    over_tls = ("X-Forwarded-Proto", "https")
    assert (await sign_in_page(f"::ffff:{PROXY}", over_tls)).status == 200
    assert (await sign_in_page("192.0.2.7", over_tls)).status == 301
    assert (await sign_in_page(PROXY, ("X-Forwarded-Proto", "http"))).status == 301


async def test_an_address_that_leads_nowhere_does_not_reach_django(monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(*_: Any) -> None:
        raise AssertionError("Django was asked")

    monkeypatch.setattr(asgi, "django_application", refuse)
    for path in ("/nothing", "/wp-login.php", "/api/nothing/", "/api/tenants/a/b/", "/dashboard/x/y/"):
        answered = await Caller(asgi.application, {}).call("GET", path)
        assert (answered.status, answered.headers["content-type"]) == (404, "application/problem+json")
    browser = [("Accept", "text/html,application/xhtml+xml,*/*;q=0.8"), ("Accept-Language", "de-AT,de;q=0.9")]
    for path in ("/nothing", "/dashboard/nothing/"):
        answered = await Caller(asgi.application, {}).call("GET", path, headers=browser)
        assert (answered.status, answered.headers["content-type"]) == (404, "text/html; charset=utf-8")
        assert "Diese Seite gibt es nicht" in answered.body.decode()
        assert "script-src 'self'" in answered.headers["content-security-policy"]
    for path in ("/api/nothing/", "/invoke/no/such"):
        answered = await Caller(asgi.application, {}).call("GET", path, headers=browser)
        assert answered.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/", 302),
        ("/admin", 301),
        ("/admin/", 302),
        ("/admin/nothing/", 302),
        ("/api/tenants/", 401),
        ("/api", 302),
        ("/static/nothing", 404),
    ],
)
async def test_an_address_of_django_reaches_it(path: str, status: int, settings: Settings) -> None:
    secure = [("Host", "testserver"), ("X-Forwarded-Proto", "https")]
    answered = await Caller(asgi.application, {}).call("GET", path, client=PROXY, headers=secure)
    assert (answered.status, "content-type" in answered.headers) == (status, False), "Django writes Content-Type"


def test_a_page_in_a_thread_keeps_callers_waiting_for_a_millisecond_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[float] = []
    monkeypatch.setattr(sys, "setswitchinterval", asked.append)
    monkeypatch.setattr(asgi, "gc", SimpleNamespace(collect=int, freeze=int, set_threshold=lambda *_: None))
    asgi.settle()
    assert asked == [0.001]
