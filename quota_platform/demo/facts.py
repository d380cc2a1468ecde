"""What a running demo is: its addresses, keys and sign-ins, for machines (``demo.json``) and for people."""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from quota_platform.base.private_file import write_private
from quota_platform.demo import cast, environment

FILE = "demo.json"


def facts(variables: Mapping[str, str], *, tokens: Mapping[str, str]) -> dict[str, Any]:
    """The contents of ``demo.json``."""
    base_url = f"http://127.0.0.1:{variables['PORT']}"
    sandbox_url = f"http://{environment.sandbox_address(variables)}"
    return {
        "base_url": base_url,
        "admin": {
            "url": f"{base_url}/admin/",
            "username": cast.ADMIN,
            "password": variables["DEMO_ADMIN_PASSWORD"],
        },
        "supervisor": {
            "url": f"{base_url}/dashboard/",
            "username": cast.SUPERVISOR,
            "password": variables["DEMO_SUPERVISOR_PASSWORD"],
        },
        "tenants": [
            {"tenant_id": member.tenant_id, "api_key": tokens[member.tenant_id], "actions": list(member.actions)}
            for member in cast.MEMBERS
        ],
        "platform_key": tokens[cast.PLATFORM],
        "sandbox": {"url": sandbox_url, "control_url": f"{sandbox_url}/__sim__"},
        "redis_url": variables["REDIS_URL"],
        "database_url": variables["DATABASE_URL"],
    }


def write(var: Path, known: Mapping[str, Any]) -> None:
    write_private(var / FILE, json.dumps(known, indent=2) + "\n")


def forget(var: Path) -> None:
    """Called when a demo starts and when it ends: the file stands for a demo that is running and ready."""
    (var / FILE).unlink(missing_ok=True)


def greeting(known: Mapping[str, Any], *, var: Path) -> str:
    """What the console shows when the platform is ready."""
    base_url, admin, supervisor = known["base_url"], known["admin"], known["supervisor"]
    acme = known["tenants"][0]
    return f"""
The platform is ready.

  Dashboard   {supervisor["url"]}    sign in as {supervisor["username"]} / {supervisor["password"]}
  Admin       {admin["url"]}        sign in as {admin["username"]} / {admin["password"]}
  Alerts      {known["sandbox"]["url"]}{environment.SINK_PATH}    messages to the contact point "Demo sink"
  API docs    {base_url}/api/docs/
  API key     {acme["api_key"]}  (tenant {acme["tenant_id"]})

  A call, decided and passed on to the sandbox:

    {curl(base_url, key=acme["api_key"], action=acme["actions"][0])}

  The 101st call within a minute gets a 429. {var / FILE} contains all of the above.
  Ctrl-C stops it all and keeps the data; `make reset` forgets it.
"""


def curl(base_url: str, *, key: str, action: str) -> str:
    """A command line that works as it stands, in any shell."""
    return (
        f"curl -i -X POST {base_url}/invoke/{action}"
        f" -H 'Authorization: Bearer {key}' -H 'Content-Type: application/json' -d '{{\"order\": 4711}}'"
    )
