"""Who is looking, and whether they still may: the check that joins, polls and open streams all make."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from quota_platform.base.sessions import person_of
from tenants.scope import tenants_of


@dataclass(frozen=True, slots=True)
class Sight:
    """A person who is signed in, and the IDs of the tenants they may see now."""

    person: int
    tenant_ids: frozenset[str]

    def of(self, tenant_id: str) -> bool:
        """Whether the person may see this tenant; the overview (no tenant ID) is everyone's."""
        return not tenant_id or tenant_id in self.tenant_ids


def sights(session_keys: Collection[str]) -> dict[str, Sight | None]:
    """What the person of each session may see; None where nobody is signed in with it. For a thread.

    The sessions are read anew each time: a signed-out, switched-off or moved account loses its open streams too.
    """
    return {session_key: sight(session_key) for session_key in session_keys}


def sight(session_key: str | None) -> Sight | None:
    """What the person of this session may see now; None when nobody is signed in with it. For a thread."""
    person = person_of(session_key)
    if person is None:
        return None
    return Sight(person.pk, frozenset(tenants_of(person).values_list("tenant_id", flat=True)))
