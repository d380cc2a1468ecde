"""A herd: clients that call at once and come back when they are asked to, by urllib3 as it comes."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field

import urllib3
from urllib3.util import Retry

from tests.patience import HANG_S


@dataclass
class Herd:
    """``waited``: seconds that each client was asked to wait, together. ``attempts``: requests of each client."""

    waited: list[float] = field(default_factory=list)
    attempts: list[int] = field(default_factory=list)

    @property
    def at_first_return(self) -> int:
        """Clients that passed at once or when they came back once."""
        return sum(attempts <= 2 for attempts in self.attempts)


async def stampede(urls: Sequence[str], *keys: str, clients: int) -> Herd:
    """Let each client call one of the URLs with one of the keys until it passes."""
    herd, loop = Herd(), asyncio.get_running_loop()

    def call(number: int) -> None:
        asked: list[float] = []

        class Noting(Retry):
            def sleep_for_retry(self, response: urllib3.BaseHTTPResponse) -> bool:
                asked.append(self.get_retry_after(response) or 0)
                return super().sleep_for_retry(response)

        retry = Noting(total=50, status_forcelist=[429], allowed_methods=None, respect_retry_after_header=True)
        with urllib3.PoolManager(retries=retry) as pool:
            headers = {"Authorization": f"Bearer {keys[number % len(keys)]}", "Content-Type": "application/json"}
            url = f"{urls[number % len(urls)]}/invoke/lookupOrder"
            response = pool.request("POST", url, body=b"{}", headers=headers, timeout=HANG_S)
        assert response.status == 200
        herd.waited.append(sum(asked))
        herd.attempts.append(1 + len(asked))

    with ThreadPoolExecutor(clients) as threads:
        await asyncio.gather(*[loop.run_in_executor(threads, call, number) for number in range(clients)])
    return herd
