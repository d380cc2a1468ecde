"""Every page of the admin and of accounts without a finding of axe, found in the resolver: a new one joins by itself.

The walk of all is a slow test. `make test-browser` walks each kind of page once, those of the model with the richest.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from itertools import product
from mimetypes import guess_type
from pathlib import Path
from threading import Thread

import pytest
import unfold
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from django.contrib.auth.models import User
from django.contrib.staticfiles import finders
from django.db.models import Model
from django.test import Client
from django.urls import reverse
from playwright.sync_api import Browser

from limiter.models import Assignment, QuotaPolicy
from tenants.models import ApiKey
from tests.browser.visit import COLOURS, Theme, Visitor
from tests.filled_form import as_seen, filled_form
from tests.limiter.policies.test_cuts import used
from tests.patience import HANG_MS
from tests.quota_platform.accounts.security_key import registered
from tests.quota_platform.accounts.totp import code
from tests.quota_platform.test_admin_pages import MAKERS, MODELS, PAGES, make_action, make_hook, make_policy, url_of
from tests.routes import routes

STATIC = "/static/"
LOOKS: tuple[tuple[Theme, tuple[str, ...]], ...] = (("light", ()), ("dark", COLOURS))
EVERY = [(model, page) for model in MODELS for page in PAGES]
SAMPLE = [(QuotaPolicy, page) for page in PAGES if page != "add"]
FRAMES = ("/admin/", "/accounts/sign-in/", "/admin/jsi18n/")
PASSWORD = "a-long-test-password"
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"
UNFOLD = Path(unfold.__file__).parent / "templates"
OURS = Path(__file__).parents[2] / "quota_platform" / "templates"
TOGGLE = '<button type="button" class="q-toggle cursor-pointer'
NAMED = 'aria-label="{% translate "Menu" %}"'
ICON = "                dock_to_right"
NAMED_ICON = '                <span class="material-symbols-outlined" aria-hidden="true">dock_to_right</span>'

UTC_SAID = (
    '<p class="text-subtle text-xs px-4 pb-4">{% translate "Times are in UTC unless a zone stands beside them." %}</p>'
)
VALUE = "{% if value %}{{ value }}{% elif field.contents %}"
IN_LINES = (
    "{% if value %}{{ value }}{% elif field.is_json %}{{ field.resolved_field.2|in_lines }}{% elif field.contents %}"
)


@pytest.fixture
def beside_playwright(monkeypatch: pytest.MonkeyPatch) -> None:
    """Playwright's event loop lives in this thread, but runs only while the browser is asked."""
    monkeypatch.setenv("DJANGO_ALLOW_ASYNC_UNSAFE", "true")


@pytest.fixture(params=["sample", pytest.param("every", marks=pytest.mark.slow)])
def pages(request: pytest.FixtureRequest, beside_playwright: None, db: None, redis_url: str) -> dict[str, str]:
    """The HTML of the pages, by their path, made before the browser opens them: it needs neither server nor sign-in."""
    every = request.param == "every"
    root = Client()
    root.force_login(User.objects.create_superuser("root", "root@example.com", PASSWORD))
    walked = EVERY if every else SAMPLE
    models = {model for model, _ in walked}
    rows = {model: make(number) for number, (model, make) in enumerate(MAKERS.items()) if model in models}
    paths = [*FRAMES, *(url_of(model, page, rows[model]) for model, page in walked)]
    paths += [*plain("/admin/"), *of_rows(rows)] if every else []
    pages = shown(root, paths) | {FRAMES[1]: Client().get(FRAMES[1]).text}
    assert len(pages) > 0.6 * len(walked)  # some models have no page to add or delete
    pages |= warnings(root) | dict(lesser for model in models for lesser in lesser_pages(root, model, rows[model]))
    return pages | after_posts(root) | of_accounts() if every else pages


def shown(client: Client, paths: Iterable[str]) -> dict[str, str]:
    """The pages at these addresses, but for files, data, parts of pages and redirects."""
    found = {path: client.get(path) for path in paths}
    kinds = ("text/html", "text/javascript")
    return {
        path.partition("?")[0]: response.text
        for path, response in found.items()
        if response.status_code == 200
        and response.headers["Content-Type"].startswith(kinds)
        and ("</html>" in response.text or "jsi18n" in path)
    }


def plain(under: str) -> list[str]:
    """The addresses without parameters."""
    return [f"/{route.path}" for route in routes() if f"/{route.path}".startswith(under) and not route.parameters]


def of_rows(rows: dict[type[Model], Model]) -> Iterator[str]:
    """Pages of a row beside its form, history and deletion, such as a person's password."""
    for model, row in rows.items():
        start = f"admin:{model._meta.app_label}_{model._meta.model_name}_"
        for route in routes():
            if route.name.startswith(start) and len(route.parameters) == 1:
                yield reverse(route.name, kwargs=dict.fromkeys(route.parameters, row.pk))
    yield f"{reverse('admin:tenants_apikey_revoke')}?key={rows[ApiKey].pk}"


def after_posts(root: Client) -> dict[str, str]:
    """Pages that follow a form: secrets that are shown once, and a row that is gone."""
    hook, gone = make_hook(91), make_action(92)
    change = url_of(type(hook), "change", hook)
    page = url_of(type(gone), "change", gone)
    entries = filled_form(root.get(page).content)
    gone.delete()
    add_key, add_token = (reverse(f"admin:tenants_{name}_add") for name in ("apikey", "apitoken"))
    posted = {
        "/key/": root.post(add_key, filled_form(root.get(add_key).content) | {"name": "x", "tenant": hook.tenant_id}),
        "/token/": root.post(add_token, filled_form(root.get(add_token).content) | {"name": "x"}),
        "/secret/": root.post(change.replace("/change/", "/new-secret/"), as_seen(root, change)),
        "/gone/": root.post(page, entries),
    }
    texts = {path: response.text for path, response in posted.items()}
    assert all(word in texts[path] for path, word in (("/key/", "qk_"), ("/secret/", "whsec_"), ("/gone/", "<main")))
    assert "q-token" in texts["/token/"]
    return texts


def of_accounts() -> dict[str, str]:
    """Of somebody with an app, a key and recovery codes who has just signed in, and of visitors."""
    ana = User.objects.create_user("ana", "ana@example.com", PASSWORD)
    TOTP.activate(ana, SECRET)
    RecoveryCodes.activate(ana)
    signed_in, visitor = Client(), Client()
    signed_in.post(reverse("account_login"), {"username": "ana", "password": PASSWORD})
    between = signed_in.get(reverse("mfa_authenticate")).text
    signed_in.post(reverse("mfa_authenticate"), {"code": code(SECRET)})
    pages = shown(signed_in, plain("/accounts/"))
    key = Authenticator.objects.create(user=ana, type="webauthn", data=registered("My key"))
    keys = [reverse(f"mfa_{act}_webauthn", args=[key.pk]) for act in ("edit", "remove")]
    again = reverse("mfa_reauthenticate_webauthn")
    pages |= shown(signed_in, [*keys, reverse("mfa_list_webauthn"), again])
    assert {"/accounts/", "/accounts/second-factor/recovery/", *keys, again} <= set(pages)
    entrances = {f"/visitor{path}": text for path, text in shown(visitor, plain("/accounts/")).items()}
    return pages | entrances | {"/between/": between}


def warnings(root: Client) -> dict[str, str]:
    """The pages that warn of a cut below the use of the last day: a form that asks, and that of an earlier version."""
    action, policy = make_action(90), make_policy(90)
    Assignment.objects.create(policy=policy, target="tenant", tenant=action.tenant)
    used(action.tenant.tenant_id, 90, action_id=action.action_id)
    line = policy.limits.get(name="minute")
    for quota in (50, 200):
        line.quota = quota
        line.save()
    form = url_of(QuotaPolicy, "change", policy)
    older = reverse("admin:limiter_quotapolicy_simple_history", args=[policy.pk, policy.history.all()[1].pk])
    asked = root.post(form, filled_form(root.get(form).content) | {"limits-0-quota": "60", "limits-1-quota": "60"})
    warned = {older: root.get(older).text, "/asked/": asked.text}
    assert all(f"{action.action_id} (90)" in text for text in warned.values())
    return warned


def lesser_pages(root: Client, model: type[Model], row: Model) -> Iterator[tuple[str, str]]:
    """The page of an earlier state, and the one that asks before chosen rows are deleted."""
    chosen = {"action": "delete_selected", "_selected_action": [row.pk]}
    found = {f"/{model._meta.model_name}/chosen/": root.post(url_of(model, "changelist"), chosen, follow=True)}
    if hasattr(model, "history") and (moment := model.history.filter(id=row.pk).first()):
        name = f"admin:{model._meta.app_label}_{model._meta.model_name}_simple_history"
        path = reverse(name, args=[row.pk, moment.pk])
        found[path] = root.get(path)
    yield from ((path, response.text) for path, response in found.items() if response.status_code == 200)


@pytest.fixture
def site(pages: dict[str, str]) -> Iterator[str]:
    """A web server of these pages and the static files, which the browser keeps from page to page."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            path = self.path.partition("?")[0]
            file = finders.find(path.removeprefix(STATIC)) if path.startswith(STATIC) else None
            body = pages[path].encode() if path in pages else Path(file).read_bytes() if file else b""
            self.send_response(200 if body else 404)
            kind = "text/html" if path.endswith("/") and "jsi18n" not in path else guess_type(path)[0]
            self.send_header("Content-Type", f"{kind or 'text/javascript'}; charset=utf-8")
            self.send_header("Cache-Control", "max-age=3600" if file else "no-store")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *args: object) -> None:
            """Quiet."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture
def visitor(browser: Browser, site: str) -> Iterator[Visitor]:
    context = browser.new_context(viewport={"width": 1440, "height": 900})
    context.set_default_timeout(HANG_MS)
    yield Visitor(context.new_page(), site)
    context.close()


# One test: the pages are made once, and opened in one tab.
def test_no_page_of_the_admin_or_of_accounts_has_a_barrier(visitor: Visitor, pages: dict[str, str]) -> None:
    found = {}
    for path, (theme, rules) in product((path for path in pages if "jsi18n" not in path), LOOKS):
        visitor.page.emulate_media(color_scheme=theme)  # Unfold looks once, when it opens
        visitor.open(path)
        if barriers := visitor.barriers(rules):
            found[theme, path] = barriers
    assert found == {}


@pytest.mark.parametrize(
    ("template", "changes"),
    [
        (
            "unfold/helpers/pagination_default.html",
            {"{{ cl.result_count }}": '{{ cl.result_count|floatformat:"0g" }}{% if cl.paginator.is_cut %}+{% endif %}'},
        ),
        (
            "unfold/helpers/welcomemsg.html",
            {
                '<span class="material-symbols-outlined hidden! xl:block!" x-on:click': (
                    f'{TOGGLE} hidden! xl:block!" {NAMED} x-bind:aria-expanded="sidebarDesktopOpen" x-on:click'
                ),
                '<span class="material-symbols-outlined block! xl:hidden!" x-on:click': (
                    f'{TOGGLE} block! xl:hidden!" {NAMED} x-bind:aria-expanded="sidebarMobileOpen" x-on:click'
                ),
                f"{ICON}\n            </span>\n\n            ": f"{NAMED_ICON}\n            </button>\n\n            ",
                f"{ICON}\n            </span>\n        ": f"{NAMED_ICON}\n            </button>\n        ",
                "{% if cl and cl.full_result_count != cl.result_count and "
                'cl.paginator|class_name != "InfinitePaginator" %}': (
                    "{% if cl.query and cl.full_result_count != cl.result_count"
                    " or cl.has_active_filters and cl.full_result_count != cl.result_count %}"
                ),
                "count counter=cl.result_count %}{{ counter }} result{%": (
                    'count found=cl.result_count with counter=cl.result_count|floatformat:"0g" %}{{ counter }} result{%'
                ),
                "results{% endblocktranslate %} (": (
                    "results{% endblocktranslate %}{% if cl.paginator.is_cut %}+{% endif %} ("
                ),
                "full_result_count=cl.full_result_count %}": (
                    'full_result_count=cl.full_result_count|floatformat:"0g" %}'
                ),
            },
        ),
        (
            "admin/actions.html",
            {
                "{{ selection_note_all }}": (
                    '{% blocktranslate with total_count=cl.result_count|floatformat:"0g" %}'
                    "All {{ total_count }} selected{% endblocktranslate %}"
                ),
                "with cl.result_count as total_count %}": 'with total_count=cl.result_count|floatformat:"0g" %}',
            },
        ),
        (
            "unfold/helpers/field_readonly_value.html",
            {
                "{% if outline %}": "{% load documents %}{% if outline %}",
                f'dark:!bg-white/[.04]">{VALUE}': f'dark:!bg-white/[.04]">{IN_LINES}',
                f'*:rounded-default">{VALUE}': f'*:rounded-default">{IN_LINES}',
            },
        ),
        (
            "admin/object_history.html",
            {
                "trans 'This object doesn\u2019t have a change history."
                " It probably wasn\u2019t added via this admin site.'": (
                    'translate "Nothing has been recorded for this yet."'
                )
            },
        ),
        (
            "admin/submit_line.html",
            {
                '{% trans "Delete" %} {{ opts.verbose_name }}': (
                    "{% blocktranslate with row=opts.verbose_name %}Delete {{ row }}{% endblocktranslate %}"
                )
            },
        ),
        (
            "admin/delete_confirmation.html",
            {
                "with escaped_object=object %}Deleting the {{ object_name }} '{{ escaped_object }}' would require"
                " deleting the following protected related objects:": (
                    "with row=object %}The {{ object_name }} '{{ row }}' is in use and cannot be deleted."
                    " First take it away from these, or delete them:"
                )
            },
        ),
        (
            "admin/base.html",
            {
                '<div id="main"': '<main id="main"',
                "</div>\n    </div>": "</main>\n    </div>",
                "{% block footer %}": f"{UTC_SAID}\n            {{% block footer %}}",
            },
        ),
        (
            "unfold/layouts/unauthenticated.html",
            {'<div id="page"': '<main id="page"', "    </div>\n{%": "    </main>\n{%"},
        ),
    ],
)
def test_our_template_is_unfolds_but_for_these_changes(template: str, changes: dict[str, str]) -> None:
    """A newer Unfold fails here: take its template over again."""
    theirs = (UNFOLD / template).read_text()
    for old, new in changes.items():
        assert theirs.count(old) == 1
        theirs = theirs.replace(old, new)
    assert (OURS / template).read_text() == f"{{# djlint:off #}}\n{theirs}"
