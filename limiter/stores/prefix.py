"""What every key and channel of this deployment starts with, so that several deployments can share a server.

Said once, when the apps are loaded (:class:`limiter.apps.LimiterConfig`); a deployment that says nothing has none.
"""

from __future__ import annotations

_prefix = ""


def use(prefix: str) -> None:
    """From now on names start with ``prefix``, which holds no braces: they would move a cluster's hash tag."""
    if "{" in prefix or "}" in prefix:
        raise ValueError("a key prefix with braces would take keys of one connection to different slots of a cluster")
    global _prefix
    _prefix = prefix


def named(name: str) -> str:
    """The key or channel that this deployment calls ``name``."""
    return _prefix + name
