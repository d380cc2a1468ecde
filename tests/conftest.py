"""The cast every test shares: Acme, who calls; Globex, the stranger who must see nothing; and the people."""

from __future__ import annotations

import gc
from collections.abc import AsyncIterator, Iterator
from functools import cache

import hypothesis
import pytest
import redis
from django.conf import settings
from django.contrib.auth.hashers import PBKDF2PasswordHasher
from django.contrib.auth.models import User
from django.db import transaction
from django.template import Context, RequestContext, Template
from django.test.signals import template_rendered
from pytest_django import DjangoDbBlocker
from simple_history.manager import HistoryManager
from xdist.remote import Producer

from limiter.core.store import Store
from limiter.models import Assignment, QuotaLimit, QuotaPolicy
from quota_platform.embedded import chosen_server
from tenants.models import Action, ApiKey, Connection, Tenant
from tests import migrated
from tests.environment import DIRECTORY, VALKEY
from tests.limiter.core.given import store_at
from tests.scheduling import ByFile, import_in_turn, longest_first
from tests.threads import closed_with_their_threads

assert hypothesis.settings.default is not None
hypothesis.settings.register_profile("sample", hypothesis.settings.default, deadline=None)
hypothesis.settings.register_profile("whole", hypothesis.settings.default, deadline=None, max_examples=600)
"""For `make test-slow`; `make test` tries a sample. An example may take as long as it takes, on a busy machine too."""
hypothesis.settings.load_profile("sample")


def pytest_report_header() -> str:
    return f"store: {chosen_server()}"


def pytest_configure() -> None:
    """Where hundreds of tests would spend most of their time, do as in production, only quickly.

    Passwords are hashed with fewer rounds, and static files are looked for when they are asked for: each test client
    would read all of them when it is made. Each use of a row's history would make the same class of managers anew, a
    tenth of the time to save a row.
    """
    PBKDF2PasswordHasher.iterations = 1_000
    HistoryManager.from_queryset = staticmethod(cache(HistoryManager.from_queryset))
    settings.WHITENOISE_AUTOREFRESH = True


@pytest.hookimpl(tryfirst=True)
def pytest_collection(session: pytest.Session) -> None:
    import_in_turn(session.config)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    longest_first(items)


def pytest_collection_finish() -> None:
    """Modules and tests stay until the end: the garbage collector leaves them out from here on."""
    gc.freeze()


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> ByFile | None:
    return ByFile(config, log) if config.getvalue("dist") == "loadfile" else None


@pytest.fixture(scope="session")
def django_db_setup(
    request: pytest.FixtureRequest, django_test_environment: None, django_db_blocker: DjangoDbBlocker
) -> None:
    """In place of pytest-django's, which makes the database where ours does not."""
    if not migrated.supported():
        request.getfixturevalue("django_db_setup")
        return
    with django_db_blocker.unblock():
        migrated.set_up(migrated.cache_of(request.config, DIRECTORY))


@pytest.fixture(scope="session", autouse=True)
def _contexts_of_pages_alone(django_test_environment: None) -> Iterator[None]:
    """A test client keeps a copy of each template's context. Those of a page are asked for; those of templates in
    it and of its widgets, of which a form has hundreds, are not, and took a tenth of its time.
    """

    def render(template: Template, context: Context) -> str:
        if isinstance(context, RequestContext) and context.template is template:
            template_rendered.send(sender=template, template=template, context=context)
        return template.nodelist.render(context)

    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(Template, "_render", render)
        yield


@pytest.fixture(autouse=True)
def _no_connection_outlives_its_thread() -> Iterator[None]:
    with closed_with_their_threads():
        yield


@pytest.fixture(scope="module")
def rows_of_the_module(django_db_setup: None, django_db_blocker: DjangoDbBlocker) -> Iterator[None]:
    """Rows that are made after this, in fixtures of the module, stay for all its tests.

    Each test still needs ``db``, which takes back the test's own changes and no others.
    """
    with django_db_blocker.unblock(), transaction.atomic():
        yield
        transaction.set_rollback(True)


@pytest.fixture
def redis_url() -> Iterator[str]:
    """An empty store."""
    with redis.Redis.from_url(VALKEY.url) as client:
        client.flushall()
    yield VALKEY.url


@pytest.fixture
async def store(redis_url: str) -> AsyncIterator[Store]:
    """A limiter on it."""
    made = store_at(redis_url)
    await made.open()
    yield made
    await made.close()


@pytest.fixture
def connection(db: None) -> Connection:
    row = Connection(name="sandbox", is_sandbox=True, base_url="http://127.0.0.1:8801", client_id="demo-client")
    row.set_client_secret("canary-client-secret")
    row.save()
    return row


@pytest.fixture
def acme(connection: Connection) -> Tenant:
    tenant = Tenant.objects.create(tenant_id="acme", name="Acme", connection=connection)
    Action.objects.create(tenant=tenant, action_id="lookupOrder")
    return tenant


@pytest.fixture
def acme_key(acme: Tenant) -> str:
    """A live key of Acme's, as the caller holds it."""
    return ApiKey.objects.issue(name="Acme IVR", tenant=acme)[1]


@pytest.fixture
def globex(connection: Connection) -> Tenant:
    """The stranger."""
    tenant = Tenant.objects.create(tenant_id="globex", name="Globex", connection=connection)
    Action.objects.create(tenant=tenant, action_id="createCase")
    return tenant


@pytest.fixture
def globex_key(globex: Tenant) -> str:
    return ApiKey.objects.issue(name="Globex IVR", tenant=globex)[1]


@pytest.fixture
def base_policy(db: None) -> QuotaPolicy:
    """The seed's base quota for everyone: 100 per 60 s and action."""
    policy = QuotaPolicy.objects.create(name="Base")
    QuotaLimit.objects.create(policy=policy, name="minute", quota=100, window_seconds=60)
    Assignment.objects.create(policy=policy, target=Assignment.Target.DEFAULT)
    return policy


@pytest.fixture
def admin_user(db: None) -> User:
    return User.objects.create_superuser("root", "root@example.com", "a-long-test-password")
