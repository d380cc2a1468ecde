"""The outbox of edits: the touched rows are noted in the edit's own transaction, and a bell is rung after it.

Ids become visible in the order of their commits (:mod:`quota_platform.base.models.change`), so a reader
that remembers the last id it saw misses nothing by asking for the greater ones.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable
from datetime import timedelta
from enum import StrEnum
from functools import lru_cache, partial
from typing import Any, NamedTuple, TypeVar

import redis
from django.conf import settings
from django.db import DEFAULT_DB_ALIAS, connections, transaction
from django.db.models import Max, Model
from django.db.models.signals import post_save, pre_delete, pre_save
from django.utils import timezone
from redis.backoff import NoBackoff
from redis.retry import Retry

from quota_platform.base.models.change import Change

BELL_TIMEOUT_SECONDS = 0.2
RETENTION = timedelta(hours=1)
_LOOK_BACK = 64

M = TypeVar("M", bound=Model)
log = logging.getLogger(__name__)


class Topic(StrEnum):
    """What kind of thing a change touched."""

    TENANT = "tenant"
    """The tenant's row, its actions, assignments and overrides; the id is the tenant row's."""
    CONNECTION = "connection"
    KEY = "key"
    POLICY = "policy"
    """The policy's row and its limits."""
    DEFAULT = "default"
    """Which policy everyone has; the id is always 0."""


class Touch(NamedTuple):
    """One entity that an edit touched. A topic that only a newer version of this program knows matches nothing."""

    topic: str
    entity_id: int


def touch_of(change: Change) -> Touch:
    """What a row of the outbox says was touched."""
    return Touch(change.topic, change.entity_id)


DEFAULT = Touch(Topic.DEFAULT, 0)


class ChangesLost(Exception):
    """Changes after the last one seen are gone (pruned, or the database is another one): load everything again."""


class _Noted(set[Touch]):
    """What one transaction (or one of its savepoints) has noted; as its commit hook it rings the bell once."""

    def __call__(self) -> None:
        ring()


def record(topic: str, entity_id: int, *, using: str = DEFAULT_DB_ALIAS) -> None:
    """Note that an entity was touched, in the transaction that is open, once per transaction."""
    touch = Touch(topic, entity_id)
    with transaction.atomic(using=using, savepoint=False):
        noted = _noted(touch, using=using)
        if noted is None:
            noted = _Noted()
            transaction.on_commit(noted, using=using)
        if touch not in noted:
            Change.objects.using(using).take_turn()
            Change.objects.using(using).create(topic=topic, entity_id=entity_id)
            noted.add(touch)


def _noted(touch: Touch, *, using: str) -> _Noted | None:
    """Where this touch is noted already in the open transaction, else where it can be.

    Django forgets the commit hooks of a savepoint that is rolled back, as the database forgets its rows: the hooks
    still registered are exactly the noted ones. Only the newest are looked at; beyond them a row may be written twice,
    which costs a reader nothing.
    """
    connection = connections[using]
    here = None
    for savepoints, hook, *_ in itertools.islice(reversed(connection.run_on_commit), _LOOK_BACK):
        if isinstance(hook, _Noted):
            if touch in hook:
                return hook
            if here is None and savepoints == set(connection.savepoint_ids):
                here = hook
    return here


def publish(model: type[M], touches: Callable[[M], Iterable[Touch]]) -> None:
    """From now on note what ``touches`` names whenever a row of this model is saved or deleted.

    A saved row is asked before and after, because it may have moved from one owner to another.
    """
    for signal, receiver in ((pre_save, _before_save), (post_save, _note), (pre_delete, _note)):
        uid = f"publish {receiver.__name__} {model._meta.label}"
        signal.connect(partial(receiver, touches), sender=model, weak=False, dispatch_uid=uid)


def _before_save(
    touches: Callable[[Any], Iterable[Touch]], *, sender: type[Model], instance: Model, using: str, **_: object
) -> None:
    stored = sender._base_manager.using(using).filter(pk=instance.pk).first() if instance.pk else None
    if stored is not None:
        _note(touches, instance=stored, using=using)


def _note(touches: Callable[[Any], Iterable[Touch]], *, instance: Model, using: str, **_: object) -> None:
    for topic, entity_id in touches(instance):
        record(topic, entity_id, using=using)


def bell() -> str:
    """Channel on which "there are changes" is published. The message says nothing: the outbox says what."""
    return f"{settings.KEY_PREFIX}tenants:changes"


@lru_cache(maxsize=4)
def _client(url: str) -> redis.Redis:
    return redis.Redis.from_url(
        url,
        **settings.REDIS_OPTIONS,
        socket_connect_timeout=BELL_TIMEOUT_SECONDS,
        socket_timeout=BELL_TIMEOUT_SECONDS,
        retry=Retry(NoBackoff(), 0),
    )


def ring(url: str | None = None) -> None:
    """Wake the workers now instead of at their next look, a second later at most. Never fails."""
    try:
        _client(url or settings.REDIS_URL).publish(bell(), b"")
    except redis.RedisError as error:
        log.warning("The change bell was not rung, workers will look by themselves: %s", error)


def latest_id(*, using: str = DEFAULT_DB_ALIAS) -> int:
    """The id of the newest change, 0 when there never was one."""
    return Change.objects.using(using).aggregate(newest=Max("id"))["newest"] or 0


def since(last_id: int, *, using: str = DEFAULT_DB_ALIAS) -> list[Change]:
    """The changes after ``last_id``, oldest first; raises :class:`ChangesLost` when some of them are gone.

    The row last seen is asked for too: pruning takes from the old end and always leaves the newest, so while it is
    there nothing after it is missing.
    """
    rows = list(Change.objects.using(using).filter(id__gte=last_id).order_by("id"))
    if last_id == 0:
        return rows
    if not rows or rows[0].pk != last_id:
        raise ChangesLost(f"change {last_id} is gone from the outbox")
    return rows[1:]


def recent(age: timedelta, *, using: str = DEFAULT_DB_ALIAS) -> dict[Touch, int]:
    """The rows touched within the last ``age``, each with the id of its newest change."""
    rows = Change.objects.using(using).filter(at__gte=timezone.now() - age)
    newest = rows.values_list("topic", "entity_id").annotate(newest=Max("id")).order_by()
    return {Touch(topic, entity_id): change_id for topic, entity_id, change_id in newest}


def prune(older_than: timedelta = RETENTION, *, using: str = DEFAULT_DB_ALIAS) -> int:
    """Delete changes that every running worker has long read; the newest always stays. Returns how many went."""
    rows = Change.objects.using(using)
    keep_from = rows.filter(at__gte=timezone.now() - older_than).order_by("id").values_list("id", flat=True).first()
    if keep_from is None:
        keep_from = latest_id(using=using)
    return rows.filter(id__lt=keep_from).delete()[0]
