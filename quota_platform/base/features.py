"""What a feature brings to the platform, said in one declaration; every registry is a loop over these.

A feature is a package with a module ``feature`` that holds one :class:`Feature`. Its app installs it when Django is
ready. Row access, the record of edits, the change feed, the groups' rights, the admin's navigation, the periodic tasks
and the routes of the management API all follow from it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, NamedTuple

from django.db.models import Model

from quota_platform.base import changes, row_access, row_faults
from quota_platform.base.attention import Source
from quota_platform.base.changes import Touch
from quota_platform.base.events import EventType
from quota_platform.base.row_access import Rule
from quota_platform.base.row_faults import Fault


class Audited(NamedTuple):
    """How edits of a model stand in the record: their word, and into which tenant's chain they go ("": nobody's)."""

    word: str
    tenant_id: Callable[[Any], str] = lambda row: ""


class NavigationPage(NamedTuple):
    """An entry of the admin's navigation; ``model`` as ``app.model``, ``icon`` a name of Material Symbols."""

    section: str
    title: str
    icon: str
    model: str


class Periodic(NamedTuple):
    """A task that Celery's clock asks for. It may be missed, or come twice."""

    name: str
    task: str
    every_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Feature:
    """One feature's part of every registry.

    ``rows``: which rows a person sees and changes who does not see every tenant (a model without a rule is refused).
    ``audited``: the models whose edits are recorded. ``published``: the models of which workers hold copies, with what
    an edit touches. ``faults``: its objections to an edit of a row, which may be another feature's. ``rights``:
    permissions by group. ``events``: what people may be notified of. ``resources``: routes of the management API by
    prefix, and ``paths`` those that are no resource, each with the dotted path of its view. ``attention``: what needs
    somebody's attention. ``package``: where its module ``tasks`` is, if it has one.
    """

    package: str
    rows: Mapping[type[Model], Rule] = field(default_factory=dict)
    audited: Mapping[type[Model], Audited] = field(default_factory=dict)
    published: Mapping[type[Model], Callable[[Any], list[Touch]]] = field(default_factory=dict)
    faults: Mapping[type[Model], Fault] = field(default_factory=dict)
    rights: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    pages: tuple[NavigationPage, ...] = ()
    periodic: tuple[Periodic, ...] = ()
    events: tuple[EventType, ...] = ()
    resources: Mapping[str, str] = field(default_factory=dict)
    paths: Mapping[str, str] = field(default_factory=dict)
    attention: Source | None = None


_installed: dict[str, Feature] = {}


def install(feature: Feature) -> None:
    """Called once by the feature's app, when Django is ready."""
    _installed[feature.package] = feature
    for model, rule in feature.rows.items():
        row_access.declare(model, rule)
    for published, touched in feature.published.items():
        changes.publish(published, touched)
    for checked, fault in feature.faults.items():
        row_faults.declare(checked, fault)


def installed() -> Iterator[Feature]:
    """In the order in which they were installed, which is that of pages and routes."""
    return iter(_installed.values())


def event_types() -> dict[str, EventType]:
    """All types of events that people may be notified of, by name."""
    return {each.name: each for feature in installed() for each in feature.events}
