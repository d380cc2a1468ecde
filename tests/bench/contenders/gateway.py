"""Our gateway as it ships: key, stack of three limits, adaptive multiplier, usage, events, headers, token.

Its data is made through the models, in a SQLite database of the run's own.
"""

from __future__ import annotations

import json
import secrets
import subprocess
import sys
from collections.abc import Mapping
from typing import Any

from cryptography.fernet import Fernet

from quota_platform.embedded import free_port
from quota_platform.env import BASE_DIR
from tests.bench.contenders.contender import ALLOWED, REFUSED, Contender, Rig, web
from tests.bench.load import Target
from tests.bench.processes import Server

APPLICATION = "quota_platform.asgi:application"


def start(rig: Rig, *, application: str = APPLICATION, settings: Mapping[str, str] | None = None) -> Contender:
    """Make the data and start a worker for calls, with these settings; raises RuntimeError with what making said."""
    port, env = free_port(), {**environment(rig), **(settings or {})}
    (tokens,) = make(rig, env, f"rows.main({rig.upstream_port})")
    log = rig.directory / "gateway.log"
    line = web(application, port=port, pages_workers=int(env["PAGES_WORKERS"]))
    server = Server("gateway", line, port=port, log=log, env=env)
    return Contender("gateway", "this gateway, everything on", server, _targets(port, tokens))


def make(rig: Rig, env: Mapping[str, str], *makers: str) -> list[Any]:
    """Make the data of a worker with these settings; what each maker printed last, a line of JSON.

    Raises RuntimeError with their output.
    """
    code = "import django; django.setup(); from tests.bench.contenders import people, rows; " + "; ".join(makers)
    made = subprocess.run(
        [sys.executable, "-c", code],
        env={**rig.environment(), **env},
        cwd=BASE_DIR,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    if made.returncode:
        raise RuntimeError(f"the gateway's data could not be made:\n{made.stderr[-2000:]}")
    return [json.loads(line) for line in made.stdout.splitlines()[-len(makers) :]]


def environment(rig: Rig) -> dict[str, str]:
    """The settings of one worker of the platform on this rig."""
    return {
        "DJANGO_SETTINGS_MODULE": "quota_platform.settings",
        "SECRET_KEY": secrets.token_urlsafe(48),
        "SECRETS_KEYS": Fernet.generate_key().decode(),
        "DATABASE_URL": f"sqlite:///{rig.directory}/bench.sqlite3",
        "REDIS_URL": rig.redis_url,
        "LIMITER_REDIS_URL": "",
        "LIMITER_REDIS_CLUSTER": "false",
        "VAR_DIR": str(rig.directory),
        "SANDBOX_HOSTS": f"127.0.0.1:{rig.upstream_port}",
        "WEB_WORKERS": "1",
        "PAGES_WORKERS": "0",
        "MAX_CONNECTIONS_PER_ADDRESS": "8192",
        "BEHIND_TLS": "false",
        "TRUSTED_PROXIES": "127.0.0.1",
        "LOG_LEVEL": "WARNING",
    }


def _targets(port: int, tokens: dict[str, str]) -> dict[str, Target]:
    ample, strict = ({"X-API-Key": tokens[tenant]} for tenant in ("ample", "strict"))
    return {
        ALLOWED: Target(port, "/invoke/instant", ample),
        REFUSED: Target(port, "/invoke/instant", strict),
        "200 ms": Target(port, "/invoke/delay-200", ample),
        "1 s": Target(port, "/invoke/delay-1000", ample),
    }
