"""Django's cache in the shared Redis: entries as JSON, and many of them written at little more than one's cost.

Entries are data: pickle would let anyone who can write there run code here.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import orjson
import redis
from django.core.cache.backends.base import DEFAULT_TIMEOUT
from django_redis.client.default import DefaultClient
from django_redis.exceptions import ConnectionInterrupted
from django_redis.serializers.base import BaseSerializer

from quota_platform.base.lean.document import encode


class JsonSerializer(BaseSerializer):  # type: ignore[misc]
    """JSON that any release reads."""

    def dumps(self, value: Any) -> bytes:
        return encode(value)

    def loads(self, value: bytes) -> Any:
        """orjson refuses more than RFC 8259 does, and the standard library less; entries may be from either."""
        try:
            return orjson.loads(value)
        except ValueError:
            return json.loads(value)


class CacheClient(DefaultClient):  # type: ignore[misc]
    """Writes many entries without a transaction and without a command object for each."""

    def set_many(
        self,
        data: Mapping[str, Any],
        timeout: float | None = DEFAULT_TIMEOUT,
        version: int | None = None,
        client: redis.Redis | None = None,
    ) -> None:
        """``timeout`` in seconds, None for entries that stay."""
        client = client or self.get_client(write=True)
        timeout = self._backend.default_timeout if timeout is DEFAULT_TIMEOUT else timeout
        ends = () if timeout is None else ("PX", int(timeout * 1000))
        try:
            with client.pipeline(transaction=False) as commands:
                for key, value in data.items():
                    commands.execute_command("SET", self.make_key(key, version=version), self.encode(value), *ends)
                commands.execute()
        except (redis.RedisError, OSError) as error:
            raise ConnectionInterrupted(connection=client) from error
