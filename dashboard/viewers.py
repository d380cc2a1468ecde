"""Who is looking, and whether they still may: the check that joins, polls and open streams all make."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from dashboard.topics import MAX_READ, PoolView, Shown, StreamTopic, overview, pool, tenant
from quota_platform.base.row_access import sees_every_tenant
from quota_platform.base.sessions import person_of
from tenants.scope import tenants_of

Asked = tuple[str | None, Shown]
"""A session, and what its page is about."""


@dataclass(frozen=True, slots=True)
class Sight:
    """A person who is signed in, and the IDs of the tenants that their page may show now.

    ``every``: all that there are, too many to name.
    """

    person: int
    tenant_ids: frozenset[str]
    every: bool = False

    def of(self, shown: Shown) -> bool:
        """Whether the page may show this: a tenant, or a limit of its tenants; the overview is everyone's."""
        if isinstance(shown, PoolView):
            return self.every or bool(self.tenant_ids)
        return not shown or shown in self.tenant_ids

    def topic(self, shown: Shown) -> StreamTopic:
        """The stream of its frames."""
        if isinstance(shown, PoolView):
            return pool(shown, self.tenant_ids, every=self.every)
        return tenant(shown) if shown else overview(self.tenant_ids, every=self.every)


def sights(pages: Collection[Asked]) -> dict[Asked, Sight | None]:
    """What each page may show to the person of its session; None where nobody is signed in with it. For a thread.

    The sessions are read anew each time: a signed-out, switched-off or moved account loses its open streams too.
    """
    return {page: sight(*page) for page in pages}


def sight(session_key: str | None, shown: Shown = "") -> Sight | None:
    """What one page may show now; None when nobody is signed in with the session. For a thread."""
    person = person_of(session_key)
    if person is None:
        return None
    names = tenants_of(person).order_by().values_list("tenant_id", flat=True)
    if isinstance(shown, PoolView):
        names = names.filter(connection=shown.connection)
    elif shown:
        names = names.filter(tenant_id=shown)
    if sees_every_tenant(person) and len(names[: MAX_READ + 1]) > MAX_READ:
        return Sight(person.pk, frozenset(), every=True)
    return Sight(person.pk, frozenset(names))
