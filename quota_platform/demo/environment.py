"""The variables the demo's processes run with: secrets made once and kept, addresses kept while they are free."""

from __future__ import annotations

import os
import secrets
import shlex
import socket
from collections.abc import Callable, Mapping
from pathlib import Path

from cryptography.fernet import Fernet

from quota_platform.base.private_file import write_private
from quota_platform.demo.settings import DemoSettings
from quota_platform.embedded import free_port

FILE = "demo.env"
SINK_PATH = "/sink/alerts"
"""Of the sandbox's receiver for alerts."""

_SECRETS: dict[str, Callable[[], str]] = {
    "SECRET_KEY": lambda: secrets.token_urlsafe(48),
    "SECRETS_KEYS": lambda: Fernet.generate_key().decode(),
    "METRICS_TOKEN": lambda: secrets.token_urlsafe(24),
    "DEMO_ADMIN_PASSWORD": lambda: secrets.token_urlsafe(12),
    "DEMO_SUPERVISOR_PASSWORD": lambda: secrets.token_urlsafe(12),
    "SANDBOX_CLIENT_SECRET": lambda: secrets.token_urlsafe(24),
}
_KNOWN_WARNINGS = (
    "ignore:You're running the worker with superuser privileges",  # true in many a container, and harmless here
    "ignore:StreamingHttpResponse must consume",  # the same small files, read inline
)
SETUP_ONLY = frozenset({"DEMO_ADMIN_PASSWORD", "DEMO_SUPERVISOR_PASSWORD", "SANDBOX_CLIENT_SECRET"})
"""What the platform's own processes never need to know."""


def prepare(settings: DemoSettings) -> dict[str, str]:
    """The demo's variables, also written to ``VAR_DIR/demo.env`` so that the next start finds the same.

    The file is quoted for a shell: a person may read it in and use ``manage.py`` on the demo's data.
    """
    kept = read(settings.VAR_DIR)
    variables = {name: kept.get(name) or make() for name, make in _SECRETS.items()}
    variables["METRICS_TOKEN"] = os.environ.get("METRICS_TOKEN") or variables["METRICS_TOKEN"]
    sandbox_port = _port(kept.get("SANDBOX_PORT", ""))
    variables |= {
        "DJANGO_SETTINGS_MODULE": "quota_platform.settings",
        "VAR_DIR": str(settings.VAR_DIR),
        "PORT": str(settings.PORT),
        "WEB_WORKERS": str(settings.WEB_WORKERS),
        "PAGES_WORKERS": str(settings.PAGES_WORKERS),
        "DEMO_TRAFFIC": "1" if settings.DEMO_TRAFFIC else "0",
        "DATABASE_URL": settings.DATABASE_URL or f"sqlite:///{settings.VAR_DIR}/demo.sqlite3",
        "SANDBOX_PORT": str(sandbox_port),
        "SANDBOX_HOSTS": ",".join([f"127.0.0.1:{sandbox_port}", *_listed("SANDBOX_HOSTS")]),
        "ALERT_HOOK_HOSTS": ",".join([f"127.0.0.1:{sandbox_port}", *_listed("ALERT_HOOK_HOSTS")]),
        "SANDBOX_CLIENT_ID": "demo-client",
        # Said outright, so that a .env made for a real deployment cannot slip in under the demo.
        "LIMITER_REDIS_URL": os.environ.get("LIMITER_REDIS_URL", ""),
        "LIMITER_REDIS_CLUSTER": os.environ.get("LIMITER_REDIS_CLUSTER", "false"),
        "REDIS_KEY_PREFIX": os.environ.get("REDIS_KEY_PREFIX", ""),
        "BEHIND_TLS": "false",
        "TRUSTED_PROXIES": "",
    }
    variables |= _store(settings, kept)
    lines = [f"{name}={shlex.quote(value)}\n" for name, value in variables.items()]
    write_private(settings.VAR_DIR / FILE, "".join(lines))
    return variables


def read(var: Path) -> dict[str, str]:
    """The variables of the last start; empty when there was none."""
    try:
        lines = (var / FILE).read_text().splitlines()
    except FileNotFoundError:
        return {}
    pairs = (line.split("=", 1) for line in lines if "=" in line)
    return {name: "".join(shlex.split(value)) for name, value in pairs}


def for_platform(variables: Mapping[str, str]) -> dict[str, str]:
    """The caller's environment with the demo's variables on top, less what only the setup needs.

    So every setting of docs/settings.md that the demo does not set itself can be given to `make run`.
    """
    data = {name: value for name, value in variables.items() if name not in SETUP_ONLY}
    return {"PYTHONWARNINGS": ",".join(_KNOWN_WARNINGS), **os.environ, **data}


def sandbox_address(variables: Mapping[str, str]) -> str:
    """``host:port`` of the demo's own sandbox; others that its connections may reach stand after it."""
    return variables["SANDBOX_HOSTS"].partition(",")[0]


def sink_url(variables: Mapping[str, str]) -> str:
    """Where the demo's contact point delivers to, and shows what came."""
    return f"http://{sandbox_address(variables)}{SINK_PATH}"


def platform_sign(variables: Mapping[str, str]) -> str:
    """Responds 200 once the platform decides calls."""
    return f"http://127.0.0.1:{variables['PORT']}/readyz"


def sandbox_sign(variables: Mapping[str, str]) -> str:
    """Responds 200 once the sandbox serves, tokens too."""
    return f"http://{sandbox_address(variables)}/__sim__/story"


def is_free(port: int) -> bool:
    """True when a server could listen on this loopback port now."""
    with socket.socket() as sock:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            sock.bind(("127.0.0.1", port))
        except OSError:
            return False
    return True


def _store(settings: DemoSettings, kept: Mapping[str, str]) -> dict[str, str]:
    if settings.REDIS_URL:
        return {"REDIS_URL": settings.REDIS_URL}
    port = _port(kept.get("VALKEY_PORT", ""))
    return {"REDIS_URL": f"redis://127.0.0.1:{port}/0", "VALKEY_PORT": str(port)}


def _listed(name: str) -> list[str]:
    return [part.strip() for part in os.environ.get(name, "").split(",") if part.strip()]


def _port(kept: str) -> int:
    return int(kept) if kept.isdigit() and is_free(int(kept)) else free_port()
