"""The base of the views that the lean handler serves, on the event loop.

They are DRF views with a dispatch of their own: DRF's negotiation, parsing and rendering cost more than the rest of a
call, and its synchronous authentication would hop to a thread.
"""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from rest_framework.views import APIView

from quota_platform.base.lean.problem import method_not_allowed
from quota_platform.base.lean.request import LeanRequest
from quota_platform.base.lean.response import LeanResponse

_METHODS = {"GET": "get", "HEAD": "get", "POST": "post"}
"""The handler of each method; HEAD is GET, of which the server sends the head."""


class LeanView(APIView):
    """They return a response and raise problems, which the handler sends.

    A view keeps nothing of a call, so that one instance serves all of them.
    """

    authentication_classes = ()
    permission_classes = ()
    schema = None

    @classmethod
    def as_view(cls, **initkwargs: Any) -> Any:
        """What a route calls. Django's own makes an instance per call, and checks for CSRF what carries no cookie."""
        return cls(**initkwargs).dispatch

    def dispatch(self, request: LeanRequest, *args: Any, **kwargs: Any) -> Awaitable[LeanResponse]:  # type: ignore[override]
        """The response, to be awaited: no coroutine of its own, which each wait within a call would pass through."""
        method = _METHODS.get(request.method)
        handler = None if method is None else getattr(self, method, None)
        if handler is None:
            raise method_not_allowed([name for name, method in _METHODS.items() if hasattr(self, method)])
        responding: Awaitable[LeanResponse] = handler(request, *args, **kwargs)
        return responding
