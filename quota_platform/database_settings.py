"""Django's settings of the database."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import dj_database_url

from limiter.stores.servers import Certificates


def database(url: str, certificates: Certificates, *, var: Path) -> dict[str, Any]:
    """The default database. What the URL says of TLS (``sslmode``, ``sslrootcert`` …) is stronger than the files."""
    made: dict[str, Any] = dict(dj_database_url.parse(url))
    if made["ENGINE"].endswith("sqlite3"):
        # WAL lets readers go on while Celery writes; IMMEDIATE takes the write lock up front, so that a busy
        # database makes a writer wait instead of failing half-way.
        made["OPTIONS"] = {
            "transaction_mode": "IMMEDIATE",
            "timeout": 20,
            "init_command": "PRAGMA journal_mode=WAL; PRAGMA synchronous=NORMAL;",
        }
        made.setdefault("TEST", {})["NAME"] = str(var / "test.sqlite3")
    else:
        made["OPTIONS"] = _tls(certificates) | made.get("OPTIONS", {})
    return made


def _tls(files: Certificates) -> dict[str, str]:
    """As libpq names it. Who names an authority wants the server's certificate and name to be verified."""
    if not files.ca and not files.cert:
        return {}
    named = {"sslrootcert": files.ca, "sslcert": files.cert, "sslkey": files.key}
    return {"sslmode": "verify-full" if files.ca else "require"} | {n: value for n, value in named.items() if value}
