"""The cost of a connection of its own for each tenant: ``python -m tests.bench.tenant_connections``.

64 calls at a time, each by a tenant chosen at random, over one worker's client to an upstream in a process of its own.
"""

from __future__ import annotations

import asyncio
import datetime
import os
import random
import ssl
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import django
import uvloop
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat
from cryptography.x509.oid import NameOID
from yarl import URL

AT_ONCE = 64
SECONDS = 6.0
TENANTS = (1, 100, 10_000)


def main() -> None:
    os.environ.setdefault("DJANGO_SETTINGS_MODULE", "tests.static_settings")
    django.setup()
    print("| tenants | | calls/s | CPU per call | new connections per call | connections held |")
    print("|---|---|---|---|---|---|")
    with tempfile.TemporaryDirectory() as directory:
        certificate = _certificate(Path(directory))
        os.environ["SSL_CERT_FILE"] = str(certificate)
        for scheme in ("http", "https"):
            with _upstream(certificate if scheme == "https" else None) as port:
                for tenants in TENANTS:
                    print(
                        f"| {tenants:,} | {scheme} | "
                        + uvloop.run(_measured(f"{scheme}://localhost:{port}/x", tenants))
                    )


async def _measured(address: str, tenants: int) -> str:
    from limiter.upstream.conduct import origin_of
    from limiter.upstream.exchange import Exchange, Patience, UpstreamRequest
    from limiter.upstream.pins import Pins

    url = URL(address)
    exchange = Exchange(pinned=Pins(sandbox_hosts=[f"localhost:{url.port}"]), pool_size=4096)
    patience, rng = Patience(total=60, connect=60), random.Random(1)

    async def caller(until: float) -> int:
        calls = 0
        while time.monotonic() < until:
            tenant = f"tenant-{rng.randrange(tenants)}"
            await exchange.send(UpstreamRequest(tenant, origin_of(url), "POST", url, {}, b"{}", patience, 10_000))
            calls += 1
        return calls

    await asyncio.gather(*[caller(time.monotonic() + SECONDS) for _ in range(AT_ONCE)])
    before, cpu, began = exchange.pool.opened, time.process_time(), time.monotonic()
    calls = sum(await asyncio.gather(*[caller(began + SECONDS) for _ in range(AT_ONCE)]))
    cpu_us, took_s, pool = (time.process_time() - cpu) / calls * 1e6, time.monotonic() - began, exchange.pool
    await exchange.close()
    return f"{calls / took_s:,.0f} | {cpu_us:.0f} µs | {(pool.opened - before) / calls:.2f} | {pool.open:,} |"


@contextmanager
def _upstream(certificate: Path | None) -> Iterator[int]:
    command = [sys.executable, "-m", "tests.bench.tenant_connections", "serve", str(certificate or "")]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield int(process.stdout.readline())
    finally:
        process.terminate()
        process.wait()


async def _serve(certificate: str) -> None:
    from tests.bench.upstream import Exchange

    context = None
    if certificate:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(certificate)
    server = await asyncio.get_running_loop().create_server(Exchange, "127.0.0.1", 0, backlog=4096, ssl=context)
    print(server.sockets[0].getsockname()[1], flush=True)
    await server.serve_forever()


def _certificate(directory: Path) -> Path:
    """A certificate for localhost that vouches for itself, with its key."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    now = datetime.datetime.now(datetime.UTC)
    made = x509.CertificateBuilder(name, name, key.public_key(), 1, now, now + datetime.timedelta(days=1))
    made = made.add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
    path = directory / "both.pem"
    private = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
    path.write_bytes(private + made.sign(key, hashes.SHA256()).public_bytes(Encoding.PEM))
    return path


if __name__ == "__main__":
    if sys.argv[1:2] == ["serve"]:
        uvloop.run(_serve(sys.argv[2]))
    else:
        main()
