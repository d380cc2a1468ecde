"""Django's, Channels' and Celery's settings of the shared store, from where it is and how names start."""

from __future__ import annotations

from typing import Any


def caches(url: str, options: dict[str, Any], *, prefix: str) -> dict[str, Any]:
    """Django's cache: the level of tenants and policies that all workers share."""
    return {
        "default": {
            "BACKEND": "django_redis.cache.RedisCache",
            "LOCATION": url,
            "KEY_PREFIX": f"{prefix}cache",
            "OPTIONS": {
                "CLIENT_CLASS": "quota_platform.base.cache.CacheClient",
                "SERIALIZER": "quota_platform.base.cache.JsonSerializer",
                "SOCKET_CONNECT_TIMEOUT": 1,
                "SOCKET_TIMEOUT": 1,
                "CONNECTION_POOL_KWARGS": {"max_connections": 32, **options},
            },
        }
    }


def channel_layers(url: str, options: dict[str, Any], *, prefix: str) -> dict[str, Any]:
    """News between workers."""
    return {
        "default": {
            "BACKEND": "channels_redis.pubsub.RedisPubSubChannelLayer",
            "CONFIG": {
                # An edit tells open pages over it, and must not hang where the store does.
                "hosts": [{"address": url, "socket_connect_timeout": 1, "socket_timeout": 1, **options}],
                "prefix": f"{prefix}channels",
            },
        }
    }


def broker_options(options: dict[str, Any], *, prefix: str) -> dict[str, Any]:
    """What Celery's transport is made with."""
    return {
        "visibility_timeout": 3600,
        "global_keyprefix": f"{prefix}celery:",
        "priority_steps": [0],
        "connection_options": options,
        # Without these a frozen store holds a publisher for ever, and a page that orders an export with it.
        "socket_connect_timeout": 2,
        "socket_timeout": 5,
        "health_check_interval": 5,
    }
