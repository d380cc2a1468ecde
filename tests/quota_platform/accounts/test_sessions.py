"""Sessions end by age and by idleness, for pages, the API and live pages; those of wallboards last, and only look."""

from __future__ import annotations

from typing import Any

import pytest
from django.contrib.auth.models import Group, User
from django.test import Client

from dashboard.viewers import sight
from quota_platform.accounts.sessions import BEGAN, NOTED_S, SEEN
from quota_platform.base.sessions import person_of
from tenants.models import Tenant
from tests.filled_form import filled_form
from tests.people import browser, member

pytestmark = [pytest.mark.django_db, pytest.mark.usefixtures("redis_url")]
HOUR, DAY = 3_600, 86_400


@pytest.fixture
def ana(acme: Tenant) -> Client:
    return browser(member("ana", acme))


@pytest.fixture
def screen(acme: Tenant) -> Client:
    """Of an account for a screen on a wall, with more rights than it needs."""
    person = member("screen", acme)
    person.groups.add(Group.objects.get(name="Wallboard"))
    return browser(person)


def earlier(client: Client, **seconds: int) -> None:
    """As if the session had begun, or its person had been seen last, so many seconds before."""
    session: Any = client.session
    for name, by in seconds.items():
        session[name] -= by
    session.save()


def is_open(client: Client) -> bool:
    """The same for pages, the API and the live pages' own check."""
    key = client.session.session_key
    by_itself = person_of(key) is not None and sight(key) is not None
    pages = {client.get("/api/tenants/").status_code == 200, client.get("/dashboard/").status_code == 200}
    assert pages == {by_itself}
    return by_itself


def test_a_session_ends_twelve_hours_after_its_sign_in_however_busy(ana: Client) -> None:
    earlier(ana, **{BEGAN: 12 * HOUR - 60})
    assert is_open(ana)
    earlier(ana, **{BEGAN: 120})
    assert not is_open(ana)


def test_a_session_ends_two_hours_after_its_last_page(ana: Client) -> None:
    earlier(ana, **{BEGAN: 3 * HOUR, SEEN: 2 * HOUR - 60})
    assert is_open(ana)  # which is a page
    earlier(ana, **{SEEN: 2 * HOUR - 60})
    assert is_open(ana)
    earlier(ana, **{SEEN: 2 * HOUR + 60})
    assert not is_open(ana)


def test_a_poll_of_a_live_page_keeps_no_session_alive(ana: Client) -> None:
    earlier(ana, **{SEEN: HOUR})
    before = ana.session[SEEN]
    ana.raise_request_exception = False  # without a web process there is nothing to poll
    ana.get("/dashboard/api/tenants/acme.json")
    assert ana.session[SEEN] == before
    ana.get("/dashboard/")
    assert ana.session[SEEN] > before


def test_the_time_of_the_last_page_is_written_once_a_minute(ana: Client) -> None:
    earlier(ana, **{SEEN: NOTED_S // 2})
    before = ana.session[SEEN]
    ana.get("/dashboard/")
    assert ana.session[SEEN] == before


def test_a_session_of_the_release_before_goes_on(ana: Client) -> None:
    session: Any = ana.session
    for name in (BEGAN, SEEN):
        del session[name]
    session.save()
    assert is_open(ana) and BEGAN in ana.session


def test_a_wallboard_s_session_lasts_for_weeks_without_use(screen: Client) -> None:
    earlier(screen, **{BEGAN: 29 * DAY, SEEN: 29 * DAY})
    assert screen.get("/dashboard/?wallboard=1").status_code == 200
    assert person_of(screen.session.session_key) is not None
    earlier(screen, **{BEGAN: 2 * DAY})
    assert person_of(screen.session.session_key) is None


def test_a_wallboard_s_session_looks_at_the_dashboard_and_does_nothing_else(screen: Client, acme: Tenant) -> None:
    assert screen.get("/dashboard/tenants/acme/").status_code == 200
    assert screen.get("/admin/").status_code == screen.get("/api/tenants/").status_code == 403
    for path in ("/dashboard/api/actions/overrides/", "/dashboard/api/actions/keys/", "/api/overrides/"):
        assert screen.post(path, {"tenant": "acme"}, content_type="application/json").status_code == 403
    assert screen.post("/accounts/sign-out/").status_code == 302


def test_a_wallboard_s_session_ends_when_its_account_leaves_the_group(screen: Client) -> None:
    User.objects.get(username="screen").groups.clear()
    assert person_of(screen.session.session_key) is None
    assert screen.get("/dashboard/").status_code == 302


def test_a_form_sent_after_the_end_of_the_session_says_that_nothing_was_saved(admin_user: User, acme: Tenant) -> None:
    root = browser(admin_user)
    page = f"/admin/tenants/tenant/{acme.pk}/change/"
    form = {**filled_form(root.get(page).content), "name": "Renamed"}
    earlier(root, **{BEGAN: 13 * HOUR})
    for _ in ("the session ends with this one", "it has ended"):
        lost = root.post(page, form)
        assert lost.status_code == 403 and b"nothing was saved" in lost.content
    acme.refresh_from_db()
    assert acme.name == "Acme" and root.get(page).status_code == 302


@pytest.mark.parametrize("path", ["/admin/login/", "/admin/login/?next=/admin/"])
def test_credentials_sent_to_django_s_own_page_are_not_led_on_without_a_word(
    client: Client, admin_user: User, path: str
) -> None:
    assert client.post(path, {"username": "root", "password": "password"}).status_code == 403
    assert client.get(path).status_code == 302 and client.post("/admin/logout/").status_code == 302
