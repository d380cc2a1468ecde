"""Celery's way to the store: kombu's transport for Redis, for a worker and a clock that outlive what the store does.

Kombu connects again when a connection is lost, and gives up at any other error: a store that is a replica for half a
second would end a worker. Here every reply that says "not now" is a lost connection
(:mod:`limiter.stores.connections`).
"""

from __future__ import annotations

from typing import Any

from kombu.transport import TRANSPORT_ALIASES, redis, virtual

from limiter.stores.connections import Connection

NAME = "store"
_NOTHING = "writable"
"""A key that never is: deleting it does nothing where it may be done, and a replica refuses it."""


class QoS(redis.QoS):
    """What was handed out and is not acknowledged yet."""

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
    connection_class = Connection

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        try:
            self.client.delete(_NOTHING)
        except Exception:
            self.close()
            raise


class Transport(redis.Transport):
    """``CELERY_BROKER_TRANSPORT``, under a name that may stand in a log where the scheme of an address does."""

    Channel = Channel


TRANSPORT_ALIASES[NAME] = f"{__name__}:Transport"
