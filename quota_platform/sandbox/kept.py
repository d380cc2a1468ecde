"""Accounts that were registered while the sandbox ran, in a file, so that its next start knows them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from quota_platform.base.private_file import write_private
from quota_platform.sandbox.accounts import AccessKey, Accounts, SandboxAccount

_VERSION = 1


class AccountsUnreadable(Exception):
    """The file is not one that a sandbox wrote; the message names it and the remedy."""


def restore(accounts: Accounts, path: Path) -> None:
    """Register what the file holds, and write it anew whenever accounts change; raises :class:`AccountsUnreadable`."""
    try:
        if path.exists():
            _register(accounts, json.loads(path.read_text()))
    except (OSError, ValueError, KeyError, TypeError) as error:
        raise AccountsUnreadable(
            f"{path} does not hold accounts of a sandbox ({type(error).__name__}); delete it."
        ) from None
    accounts.changed = lambda: _write(accounts, path)


def _register(accounts: Accounts, data: Any) -> None:
    if data["version"] != _VERSION:
        raise ValueError("a version that this release does not know")
    for client in data["clients"]:
        accounts.add_client(client["client_id"], secret=client["secret"], unit=client["unit"], auth=client["auth"])
    for key in data["access_keys"]:
        accounts.add_access_key(key["access_key_id"], secret=key["secret"], unit=key["unit"])


def _write(accounts: Accounts, path: Path) -> None:
    data = {
        "version": _VERSION,
        "clients": [_client(client) for client in accounts.clients.values()],
        "access_keys": [_access_key(key) for key in accounts.access_keys.values()],
    }
    write_private(path, json.dumps(data, indent=1) + "\n")


def _client(client: SandboxAccount) -> dict[str, str | int]:
    return {"client_id": client.client_id, "secret": client.secret, "unit": client.unit, "auth": client.auth}


def _access_key(key: AccessKey) -> dict[str, str | int]:
    return {"access_key_id": key.key_id, "secret": key.secret, "unit": key.unit}
