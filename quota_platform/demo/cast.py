"""Who plays in the demo: the tenants, their actions, and the names the others sign in with."""

from __future__ import annotations

from dataclasses import dataclass

ADMIN = "admin"
SUPERVISOR = "supervisor"
PLATFORM = "platform"
"""Under this name the platform key stands among the kept tokens; no tenant may be called so."""


@dataclass(frozen=True, slots=True)
class CastMember:
    """One demo tenant. ``served``: the platform key may act for it."""

    tenant_id: str
    name: str
    actions: tuple[str, ...]
    suspended: bool = False
    served: bool = True


HERD_ACTION = "confirmBooking"
"""Globex's as well; called by the story of a herd alone."""
SHARED_ACTION = "exportContacts"
"""Of Globex and Hooli, under a limit that they share; called by the story of a noisy neighbour alone."""
SHARED_HERD_ACTION = "reserveSeat"
"""Of Globex and Hooli, under a limit that they share, which holds units; called by the story of a shared herd alone."""
UNIT_ACTION = "lookupOrder"
"""Of Globex and Hooli, under limits of their own; called by the story of a shared unit, and Globex's by the traffic."""
ACME = CastMember("acme", "Acme Retail", ("lookupOrder", "createCase", "scheduleCallback"))
GLOBEX = CastMember("globex", "Globex Travel", ("lookupOrder", "createCase", "changeBooking", "sendSurvey"))
INITECH = CastMember("initech", "Initech Billing", ("lookupInvoice",), suspended=True, served=False)
HOOLI = CastMember("hooli", "Hooli Health", (SHARED_ACTION, UNIT_ACTION), served=False)
MEMBERS = (ACME, GLOBEX, INITECH, HOOLI)
