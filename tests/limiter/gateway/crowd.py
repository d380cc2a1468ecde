"""Gateways of several deployments, each a process with a port of its own: forked, so that Django is loaded once.

Run as ``python -m tests.limiter.gateway.crowd <size>=<store's URL> …``, a deployment each. Says ``<size> <url>`` for
every process once it counts all of its deployment, and ends them when its input does.
"""

from __future__ import annotations

import asyncio
import multiprocessing
import signal
import sys
from importlib import import_module

import django

from tests.patience import PAUSE_S


async def gateway(size: int, store_url: str) -> None:
    """One process: serves until it is killed."""
    from limiter.core.peers import Peers
    from limiter.core.store import Store
    from limiter.gateway.runtime import GatewaySettings, Runtime
    from limiter.live.snapshot import Snapshot
    from limiter.stores.pipeline import Address
    from limiter.stores.pool import PoolSettings, StorePool
    from quota_platform import lean_urls
    from tests.limiter.gateway.conftest import FakeUpstream
    from tests.served import served

    # Longer than a busy machine lets a store that is well wait: only the frozen one is given up.
    patient = PoolSettings(connect_timeout_ms=3_000, timeout_ms=3_000)
    runtime = Runtime(
        store=Store(StorePool(Address.from_url(store_url), patient)),
        snapshot=Snapshot(capacity=100),
        upstream=FakeUpstream(),
        gateway_settings=GatewaySettings(),
        peers=Peers(),
        beat_every_s=0.1,
    )
    await runtime.open()
    async with served(lean_urls.handler(), state={"runtime": runtime}) as url:
        while runtime.peers.known < size:
            await asyncio.sleep(PAUSE_S)
        sys.stdout.write(f"{size} {url}\n")
        sys.stdout.flush()
        await asyncio.Event().wait()


def _run(size: int, store_url: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    asyncio.run(gateway(size, store_url))


def main(deployments: list[str]) -> None:
    django.setup()
    for name in ("quota_platform.lean_urls", "tests.limiter.gateway.conftest", "tests.served"):
        import_module(name)  # once, before the processes part

    fork = multiprocessing.get_context("fork")
    running = []
    for data in deployments:
        size, _, url = data.partition("=")
        running += [fork.Process(target=_run, args=(int(size), url), daemon=True) for _ in range(int(size))]
    for process in running:
        process.start()
    sys.stdin.read()
    for process in running:
        process.kill()


if __name__ == "__main__":
    main(sys.argv[1:])
