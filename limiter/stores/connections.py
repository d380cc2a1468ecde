"""redis-py's connections, for which a store that cannot work now is a connection that is lost.

Otherwise a server that a failover has made a replica keeps its callers: it answers, only never what they need.
"""

from __future__ import annotations

from typing import Any

import redis
from redis.exceptions import ConnectionError, ResponseError

from limiter.stores.away import AWAY


class Connection(redis.Connection):
    """A connection over TCP. Replies of :data:`~limiter.stores.away.AWAY` end it, and are a ``ConnectionError``."""

    def read_response(self, *args: Any, **kwargs: Any) -> Any:
        try:
            return super().read_response(*args, **kwargs)
        except ResponseError as error:
            if not _text(error).startswith(AWAY):
                raise
            self.disconnect()  # type: ignore[no-untyped-call]
            raise ConnectionError(f"the store cannot work now: {_text(error)}") from error


def _text(error: ResponseError) -> str:
    """The reply as it was sent: redis-py keeps the first word apart for those it has classes for."""
    return f"{error.status_code} {error}" if error.status_code else str(error)
