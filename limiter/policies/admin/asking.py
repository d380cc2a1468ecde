"""Forms that ask before a save that cuts a limit below its use of the last day."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from django.http import HttpRequest, HttpResponse

from limiter.policies import cuts
from limiter.policies.cuts import Hit
from quota_platform.base.admin.row_form import RowForm
from tenants.models import Tenant
from tenants.scope import tenants_of

CONFIRM = "confirm_cut"
"""The field of a form that confirms such a cut."""


def seen_among(hits: Iterable[Hit], user: Any) -> dict[str, Tenant]:
    """The tenants of these that the reader sees."""
    names = [hit.tenant.tenant_id for hit in hits]
    return {row.tenant_id: row for row in tenants_of(user).filter(tenant_id__in=names)}


def sentences(hits: Iterable[Hit], user: Any) -> list[str]:
    """The tenants that the edit hits: a sentence for each number of units that a limit will have."""
    by_limit: defaultdict[tuple[str, int], list[Hit]] = defaultdict(list)
    for hit in hits:
        by_limit[hit.peak.limit_name, hit.limit].append(hit)
    seen = seen_among((hit for of in by_limit.values() for hit in of), user)
    return [f"{name}: {cuts.sentence(of, seen=seen)}" for (name, _), of in by_limit.items()]


def question(asks: Sequence[str]) -> dict[str, Any]:
    """The context of a form's page that says this before the save: beside a question there is nothing to correct."""
    return {"asks": asks, "confirm": CONFIRM, **({"errors": ()} if asks else {})}


class AskingForm(RowForm):
    """``asks``: sentences with the tenants that the save hits; it waits for a confirmation."""

    user: Any = None
    asks: Sequence[str] = ()

    def hits(self) -> list[Hit]:
        """Of the row as the form would save it."""
        raise NotImplementedError

    def where(self) -> str:
        """The field that the question stands at."""
        raise NotImplementedError

    def _post_clean(self) -> None:
        super()._post_clean()  # type: ignore[misc]
        if self.errors or self.data.get(CONFIRM) or not self.has_changed():
            return
        for said in sentences(self.hits(), self.user):
            self.add_error(self.where() if self.where() in self.fields else None, said)
            self.asks = [*self.asks, said]


class AskingAdmin:
    """The pages of such a form."""

    change_form_template = "limiter/asking_form.html"

    def get_form(self, request: HttpRequest, obj: Any = None, change: bool = False, **kwargs: Any) -> Any:
        made = super().get_form(request, obj, change=change, **kwargs)  # type: ignore[misc]
        return type(made.__name__, (made,), {"user": request.user})

    def render_change_form(self, request: HttpRequest, context: Any, *args: Any, **kwargs: Any) -> HttpResponse:
        context |= question(getattr(context["adminform"].form, "asks", ()))
        response: HttpResponse = super().render_change_form(request, context, *args, **kwargs)  # type: ignore[misc]
        return response
