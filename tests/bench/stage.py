"""Sets the stage: one store, one upstream, the contenders, all started here and all ended here."""

from __future__ import annotations

import contextlib
import sys
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from quota_platform.embedded import Valkey, free_port, start_valkey
from tests.bench.contenders import Contender, Rig, contender, gateway, nginx
from tests.bench.processes import Server

START: dict[str, Callable[[Rig], Contender]] = {
    "gateway": gateway.start,
    "nginx": nginx.start,
    "stock": lambda rig: contender.in_python(
        rig,
        name="stock",
        label="stock Django under ASGI, one limit",
        module="tests.bench.contenders.stock:application",
    ),
    "naive": lambda rig: contender.in_python(
        rig,
        name="naive",
        label="naive proxy, one limit",
        module="tests.bench.contenders.naive:application",
    ),
}


@dataclass(frozen=True, slots=True)
class Stage:
    """The running rig and contenders, by name."""

    rig: Rig
    valkey: Valkey
    upstream: Server
    contenders: dict[str, Contender]

    def store_cpu_s(self) -> float:
        """Processor seconds that the store has used."""
        times = psutil.Process(self.valkey.process.pid).cpu_times()
        return float(times.user + times.system)


def rigged(stack: contextlib.ExitStack) -> tuple[Rig, Valkey, Server]:
    """A folder, a store and an upstream that listens, until the stack ends."""
    directory = Path(stack.enter_context(tempfile.TemporaryDirectory(prefix="quota-bench-")))
    valkey = start_valkey(directory=directory / "valkey")
    stack.callback(valkey.stop)
    port = free_port()
    command = [sys.executable, "-m", "tests.bench.upstream", str(port)]
    upstream = Server("upstream", command, port=port, log=directory / "upstream.log")
    stack.callback(upstream.stop)
    upstream.wait_until_listening()
    return Rig(redis_url=valkey.url, upstream_port=port, directory=directory), valkey, upstream


@contextlib.contextmanager
def running(names: list[str]) -> Iterator[Stage]:
    """The stage with these contenders; everything is stopped on the way out, however it is left."""
    with contextlib.ExitStack() as stack:
        rig, valkey, upstream = rigged(stack)
        contenders = {}
        for name in names:
            contenders[name] = START[name](rig)
            stack.callback(contenders[name].server.stop)
        for started in contenders.values():
            started.server.wait_until_listening()
        yield Stage(rig=rig, valkey=valkey, upstream=upstream, contenders=contenders)
