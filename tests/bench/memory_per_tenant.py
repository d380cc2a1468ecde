"""What one tenant weighs in a worker's memory: run `python -m tests.bench.memory_per_tenant`."""

from __future__ import annotations

import gc
import json
import os
import tracemalloc
import uuid
from dataclasses import dataclass
from typing import Any

import django

TENANTS = 2_000
NOW = 0.0
"""Any time does: these tenants have no overrides."""


@dataclass(frozen=True, slots=True)
class Weight:
    """Bytes that one tenant adds to a worker: when it is loaded, and when each of its actions has been called once."""

    actions: int
    loaded: float
    called: float


def weigh(*, actions: int, tenants: int = TENANTS) -> Weight:
    """Hold ``tenants`` tenants of one connection with ``actions`` actions each, as they come out of the cache.

    All call their actions by the same names, as customers of one integration do; a name of its own takes 60 bytes more.

    The allocator is asked, not the operating system: the count covers the memory of all objects, also the
    place in the table of held tenants.
    """
    from limiter.live import entry_format
    from limiter.live.cache import Cache
    from limiter.live.loader import Fetched
    from limiter.live.shared_cache import Touched
    from limiter.policies.compiled import compile_policy
    from limiter.policies.effective import HeldPolicy

    gold = HeldPolicy(compile_policy(*_policy()), seq=1)
    held = Cache(capacity=tenants, touched=Touched())
    held.shelf.put(1, gold)
    held.shelf.set_default(1, seq=1)
    texts = [json.dumps(entry_format.of_rules(_rules(number, actions=actions))) for number in range(tenants)]
    gc.collect()
    tracemalloc.start()
    for number, text in enumerate(texts):
        held.adopt_tenant(f"tenant-{number:06}", Fetched(entry_format.rules(json.loads(text)), seq=1))
    loaded = _taken()
    for _, entry in held.tenants.items():
        for action_id in entry.tenant.actions:
            entry.plan(action_id, NOW)
    called = _taken()
    tracemalloc.stop()
    return Weight(actions=actions, loaded=loaded / tenants, called=called / tenants)


def weigh_key(*, keys: int = TENANTS) -> float:
    """Bytes that one API key adds to a worker."""
    from limiter.live import entry_format
    from limiter.live.cache import Cache
    from limiter.live.loader import Fetched
    from limiter.live.shared_cache import Touched

    held = Cache(capacity=keys, touched=Touched())
    texts = [json.dumps(_key(number)) for number in range(keys)]
    gc.collect()
    tracemalloc.start()
    for number, text in enumerate(texts):
        held.adopt_key(f"{number:012}", Fetched(entry_format.key(json.loads(text)), seq=1))
    taken = _taken()
    tracemalloc.stop()
    return taken / keys


def _taken() -> int:
    gc.collect()
    return tracemalloc.get_traced_memory()[0]


def _policy() -> Any:
    from limiter.models import QuotaLimit, QuotaPolicy

    limits = [QuotaLimit(name=name, quota=100, window_seconds=60) for name in ("minute", "hour", "day")]
    return QuotaPolicy(pk=1, name="Base"), limits


def _rules(number: int, *, actions: int) -> Any:
    from limiter.policies.effective import TenantRules
    from tenants.directory import ActionSpec, TenantSpec
    from tenants.models import Connection
    from tenants.spec_rows import connection_spec

    uid = uuid.UUID(int=1)
    connection = Connection(pk=1, uid=uid, name="unit", base_url="https://api-na1.niceincontact.com", client_id="id")
    specs = [ActionSpec(id=number * actions + n, action_id=f"lookupOrder{n:04}") for n in range(actions)]
    return TenantRules(
        tenant=TenantSpec(
            id=number,
            tenant_id=f"tenant-{number:06}",
            name=f"Tenant number {number}",
            active=True,
            envelope=False,
            accept_unlisted_actions=False,
            connection=connection_spec(connection),
            actions={spec.action_id: spec for spec in specs},
        )
    )


def _key(number: int) -> dict[str, Any]:
    return {
        "id": number,
        "prefix": f"{number:012}",
        "digest": f"{number:064}",
        "tenant_id": f"tenant-{number:06}",
        "expires_at": None,
        "revoked": False,
    }


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.static_settings")
    django.setup()
    print(f"{'actions':>8}  {'loaded, bytes':>14}  {'all called, bytes':>18}")
    for actions in (1, 10, 50):
        weight = weigh(actions=actions)
        print(f"{weight.actions:>8}  {weight.loaded:>14,.0f}  {weight.called:>18,.0f}")
    print(f"API key: {weigh_key():,.0f} bytes")


if __name__ == "__main__":
    main()
