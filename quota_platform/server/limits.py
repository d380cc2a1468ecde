"""What one web process grants its callers before anything is known of them: bytes, seconds and connections."""

from __future__ import annotations

from dataclasses import dataclass, field

from quota_platform.base.addresses import Networks, networks
from quota_platform.server.settings import ServerEnv


@dataclass(frozen=True, slots=True)
class Limits:
    """``call_prefixes``: how the paths begin whose bodies are calls of the gateway; all others are pages."""

    head_s: float = 10.0
    """For the whole head of a request, from its first byte on; of the first one, from when the connection was made."""
    body_s: float = 10.0
    """For the whole body, from the end of its head on."""
    keep_alive_s: float = 75.0
    """How long a connection may rest between two requests."""
    stalled_s: float = 60.0
    """How long a caller may take nothing of its response while the rest waits here."""
    max_call_body_bytes: int = 262_144
    max_page_body_bytes: int = 1_048_576
    max_arriving_bytes: int = 67_108_864
    """Of all bodies together that have not arrived whole."""
    max_connections: int = 8192
    max_connections_per_address: int = 1024
    trusted_proxies: Networks = field(default_factory=networks)
    """Peers that stand for many callers: no bound per address."""
    call_prefixes: tuple[str, ...] = ()

    @classmethod
    def from_env(cls, env: ServerEnv, *, call_prefixes: tuple[str, ...], max_files: int) -> Limits:
        """The limits in the settings. Half of ``max_files`` is kept for what a call opens itself."""
        return cls(
            head_s=env.HEAD_TIMEOUT_MS / 1000,
            body_s=env.BODY_TIMEOUT_MS / 1000,
            keep_alive_s=env.KEEP_ALIVE_TIMEOUT_MS / 1000,
            max_call_body_bytes=env.MAX_BODY_BYTES,
            max_page_body_bytes=env.MAX_PAGE_BODY_BYTES,
            max_arriving_bytes=env.MAX_ARRIVING_BYTES,
            max_connections=min(env.MAX_CONNECTIONS, max_files // 2),
            max_connections_per_address=env.MAX_CONNECTIONS_PER_ADDRESS,
            trusted_proxies=networks(*env.TRUSTED_PROXIES),
            call_prefixes=call_prefixes,
        )

    def max_body_bytes(self, path: str) -> int:
        """The longest body that a request for ``path`` may have."""
        return self.max_call_body_bytes if path.startswith(self.call_prefixes) else self.max_page_body_bytes
