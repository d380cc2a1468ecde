"""Celery's way to the store: kombu's transport for Redis, for a worker and a clock that outlive what the store does.

Kombu connects again when a connection is lost, and gives up at any other error: a store that is a replica for half a
second would end a worker. Here every reply that says "not now" is a lost connection
(:mod:`limiter.stores.connections`).
"""

from __future__ import annotations

import time
from collections.abc import Mapping
from functools import cached_property
from types import MappingProxyType
from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis, virtual
from kombu.utils.json import dumps

from limiter.stores.connections import SeededConnection

NAME = "store"
_NOTHING = "writable"
"""A key that never is: deleting it does nothing where it may be done, and a replica refuses it."""


PERIODIC = "periodic."
"""Queues of these names hold one message at most: what asks for the same work again says nothing new.

So no queue grows while no worker runs, however long; and since it is the queue's length that counts, nothing that a
killed process leaves behind can keep a task from being asked for.
"""
_PUT_IF_EMPTY = "if redis.call('LLEN', KEYS[1]) == 0 then return redis.call('LPUSH', KEYS[1], ARGV[1]) end return 0"


class QoS(redis.QoS):
    """Messages that were delivered and are not acknowledged yet."""

    def ack(self, delivery_tag: str) -> None:
        """As kombu; but a message whose acknowledgement failed no longer counts as held.

        The store hands it out again in its time. If it went on counting, a worker that holds as many as it may would
        never ask for another.
        """
        try:
            super().ack(delivery_tag)
        except Transport.connection_errors:
            virtual.QoS.ack(self, delivery_tag)
            raise


class Channel(redis.Channel):
    """A channel, open only to a store that can be written to."""

    QoS = QoS
    connection_class = SeededConnection
    connection_options: Mapping[str, Any] = MappingProxyType({})
    """What redis-py's connections are made with, their class included."""
    from_transport_options = (*redis.Channel.from_transport_options, "connection_options")

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        try:
            self.client.delete(_NOTHING)
        except Exception:
            self.close()
            raise

    def _connparams(self, asynchronous: bool = False) -> dict[str, Any]:
        self.connection_class = self.connection_options.get("connection_class", SeededConnection)
        data: dict[str, Any] = super()._connparams(asynchronous)  # type: ignore[misc]
        return dict(self.connection_options) | data

    @cached_property
    def _put_if_empty(self) -> Any:
        return self._create_client().register_script(_PUT_IF_EMPTY)  # type: ignore[attr-defined]

    def _put(self, queue: str, message: dict[str, Any], **kwargs: Any) -> None:
        message["properties"]["timestamp"] = time.time()
        if not queue.startswith(PERIODIC):
            super()._put(queue, message, **kwargs)
            return
        with self.conn_or_acquire() as client:
            self._put_if_empty(keys=[queue], args=[dumps(message)], client=client)

    def _do_restore_message(
        self, payload: dict[str, Any], exchange: str, routing_key: str, pipe: Any, leftmost: bool = False
    ) -> None:
        """Put back what a worker took and did not do."""
        if routing_key.startswith(PERIODIC):
            self._put_if_empty(keys=[routing_key], args=[dumps(payload)], client=pipe)
        else:
            super()._do_restore_message(payload, exchange, routing_key, pipe, leftmost)  # type: ignore[misc]


class Transport(redis.Transport):
    """``CELERY_BROKER_TRANSPORT``, under a name that may stand in a log where the scheme of an address does."""

    Channel = Channel


TRANSPORT_ALIASES[NAME] = f"{__name__}:Transport"
