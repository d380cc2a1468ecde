"""The client that the record's tasks run on."""

from __future__ import annotations

import redis

Client = redis.Redis | redis.RedisCluster
