"""How long the record's pages take when it is large: ``python -m tests.bench.record_at_scale [EVENTS]``, 10,000,000.

A PostgreSQL of its own, seeded by the database itself: 200 tenants of uneven size, 5 actions each, 400 keys, 300
policies, two years. Takes some minutes and 15 GB of disk at full size. Prints a table.
"""

from __future__ import annotations

import os
import statistics
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

from tests.postgres import running_postgres

GOAL_MS = 100.0
_TIMES = 7
_SEED = """
INSERT INTO limiter_throttleevent (stream_id, at, count, tenant_id, action_id, key_prefix, request_id, decision_id,
    policy_name, policy_version, limit_name, used, quota, effective_limit, multiplier, cost, retry_after_ms, shadow,
    limits, position, hash)
SELECT '1-' || n, now() - interval '730 days' * ((%(events)s - n)::float / %(events)s), 1, 'tenant-' || t,
    'action-' || n %% 5,
    'key' || lpad((t * 2 + n %% 2)::text, 9, '0'), 'request-' || n, 'decision-' || n,
    CASE WHEN n %% 1000003 = 7 THEN 'Rare' ELSE 'Policy ' || n %% 300 END, 3,
    CASE WHEN n %% 1000003 = 7 THEN 'rare' ELSE (ARRAY['minute', 'burst', 'day'])[n %% 3 + 1] END, 100, 100, 62, 0.62,
    1, 640.5, n %% 500009 = 3, '[{"name": "minute", "policy_name": "Policy 1", "policy_version": 3,
    "algorithm": "sliding_log", "counted_per": "action", "quota": 100,
    "window_us": 60000000, "burst": 0, "shadow": false, "adaptive": true,
    "used": 100, "effective": 62, "wait_us": 640500, "reset_us": 640500}]', NULL, md5(n::text)
FROM (SELECT n, floor(power(random(), 3) * 200)::int AS t FROM generate_series(%(first)s, %(last)s) AS n) AS made
"""
_PART = 500_000


def main(events: int) -> None:
    with running_postgres() as url:
        os.environ["TEST_DATABASE_URL"] = url
        import tests.environment  # noqa: F401  settings of their own

        os.environ.setdefault("DJANGO_SETTINGS_MODULE", "quota_platform.settings")
        import django

        django.setup()
        _run(events)


def _run(events: int) -> None:
    from django.core.management import call_command
    from django.db import connection

    call_command("migrate", verbosity=0)
    began = time.perf_counter()
    _seed(connection, events)
    print(f"{events:,} events seeded in {time.perf_counter() - began:.0f} s", file=sys.stderr, flush=True)
    print("| What | median | slowest of 7 | rows |\n| --- | ---: | ---: | ---: |")
    slow = []
    for name, ask in _asked(events):
        took_ms, rows = _timed(ask)
        median = statistics.median(took_ms)
        print(f"| {name} | {median:.0f} ms | {max(took_ms):.0f} ms | {rows} |", flush=True)
        if median > GOAL_MS:
            slow.append(name)
    print("All within 100 ms." if not slow else f"Above 100 ms: {', '.join(slow)}.")


def _seed(connection: Any, events: int) -> None:
    """Without indexes, which are made at the end: that takes a third of the time."""
    with connection.cursor() as cursor:
        cursor.execute("ALTER SYSTEM SET maintenance_work_mem = '1GB'")
        cursor.execute("SELECT pg_reload_conf()")
        cursor.execute(
            "SELECT indexname, indexdef FROM pg_indexes"
            " WHERE tablename = 'limiter_throttleevent' AND indexname LIKE 'event%'"
        )
        indexes = cursor.fetchall()
        for name, _ in indexes:
            cursor.execute(f'DROP INDEX "{name}"' if not _is_constraint(cursor, name) else _drop(name))
        for first in range(1, events + 1, _PART):
            cursor.execute(_SEED, {"events": events, "first": first, "last": min(first + _PART - 1, events)})
        for _, definition in indexes:
            cursor.execute(definition)
        cursor.execute("VACUUM ANALYZE limiter_throttleevent")


def _is_constraint(cursor: Any, name: str) -> bool:
    cursor.execute("SELECT 1 FROM pg_constraint WHERE conname = %s", [name])
    return cursor.fetchone() is not None


def _drop(name: str) -> str:
    return f'ALTER TABLE limiter_throttleevent DROP CONSTRAINT "{name}"'


def _asked(events: int) -> Iterator[tuple[str, Callable[[], int]]]:
    """Each page and route with each of its filters, a rare value and one that nothing has among them."""
    from django.contrib.auth.models import User
    from django.test import Client
    from rest_framework.test import APIClient

    root = User.objects.create_superuser("root", password=None)
    api, pages = APIClient(), Client()
    api.force_authenticate(root)
    pages.force_login(root)

    def listed(query: str) -> Callable[[], int]:
        def ask() -> int:
            response = api.get(f"/api/events/?{query}")
            assert response.status_code == 200, response.content
            return len(response.json()["results"])

        return ask

    def page(path: str) -> Callable[[], int]:
        def ask() -> int:
            response = pages.get(path)
            assert response.status_code == 200, response.content
            return len(response.content)

        return ask

    def explained() -> int:
        assert api.get(f"/api/decisions/decision-{events // 2}/").status_code == 200
        return 1

    yield "explain one decision (API)", explained
    lists = {
        "newest": "",
        "one large tenant": "tenant=tenant-0",
        "one small tenant": "tenant=tenant-199",
        "tenant and action": "tenant=tenant-3&action_id=action-2",
        "action of any tenant": "action_id=action-2",
        "an action that nobody has": "action_id=none",
        "policy": "policy=Policy 7",
        "a rare policy": "policy=Rare",
        "key": "key=key000000399",
        "limit": "limit=day",
        "a rare limit": "limit=rare",
        "a limit that nothing has": "limit=none",
        "shadow only": "shadow=true",
        "decision ID": f"decision_id=decision-{events // 3}",
        "request ID": f"request_id=request-{events // 3}",
        "a day a year ago": "since=2025-11-20T00:00:00Z&until=2025-11-21T00:00:00Z",
        "small tenant, a year ago": "tenant=tenant-199&until=2025-11-20T00:00:00Z",
        "large tenant, rare limit": "tenant=tenant-0&limit=rare",
        "tenant, shadow only": "tenant=tenant-0&shadow=true",
        "policy of a tenant": "tenant=tenant-199&policy=Policy 7",
        "500 rows of a page": "page_size=500",
    }
    for name, query in lists.items():
        yield f"events: {name} (API)", listed(query)
    yield "events: a page far down (API)", listed(f"cursor={_cursor(events // 2)}")
    base = "/admin/limiter/throttleevent/"
    yield "list (admin)", page(base)
    yield "list, shadow only (admin)", page(f"{base}?shadow__exact=1")
    yield "list, one tenant (admin)", page(f"{base}?q=tenant-0")
    yield "list, a request ID (admin)", page(f"{base}?q=request-{events // 3}")
    yield "list, last page that is shown (admin)", page(f"{base}?p=199")
    yield "explained event (admin)", page(f"{base}{_some_pk(events)}/change/")


def _cursor(number: int) -> str:
    from limiter.models import ThrottleEvent
    from quota_platform.base.api.paging import _encode

    return _encode(ThrottleEvent.objects.get(decision_id=f"decision-{number}"))


def _some_pk(events: int) -> int:
    from limiter.models import ThrottleEvent

    return int(ThrottleEvent.objects.values_list("pk", flat=True).get(decision_id=f"decision-{events // 2}"))


def _timed(ask: Callable[[], int]) -> tuple[list[float], int]:
    took, rows = [], ask()  # the first time fills caches
    for _ in range(_TIMES):
        began = time.perf_counter()
        rows = ask()
        took.append((time.perf_counter() - began) * 1000)
    return took, rows


if __name__ == "__main__":
    main(int(sys.argv[1]) if len(sys.argv) > 1 else 10_000_000)
