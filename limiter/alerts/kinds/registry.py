"""All kinds of contact points, by the name that is stored."""

from __future__ import annotations

from django.utils.functional import Promise
from django.utils.translation import gettext_lazy as _

from limiter.alerts.kinds.kind import AddressKind, Kind
from limiter.alerts.kinds.mailed import Mailed
from limiter.alerts.kinds.opsgenie import Opsgenie
from limiter.alerts.kinds.pagerduty import PagerDuty
from limiter.alerts.kinds.signed import Signed
from limiter.alerts.kinds.slack import Slack
from limiter.alerts.kinds.teams import Teams

SIGNED = "hook"
"""What a contact point was before there were kinds."""

KINDS: dict[str, Kind] = {
    kind.name: kind
    for kind in (
        Signed(SIGNED, _("signed hook"), signs=True),
        Slack("slack", "Slack", AddressKind.SECRET_URL),
        Teams("teams", "Microsoft Teams", AddressKind.SECRET_URL),
        PagerDuty(
            "pagerduty",
            "PagerDuty",
            default_url="https://events.pagerduty.com/v2/enqueue",
            credential=_("integration key"),
        ),
        Opsgenie(
            "opsgenie",
            "Opsgenie",
            default_url="https://api.opsgenie.com/v2/alerts",
            credential=_("API key"),
            takes_news=False,
        ),
        Mailed("mail", _("mail"), AddressKind.MAIL),
    )
}
"""A name has at most twelve characters."""


def choices() -> list[tuple[str, Promise | str]]:
    """For the field of the model; a migration names this function."""
    return [(kind.name, kind.label) for kind in KINDS.values()]
