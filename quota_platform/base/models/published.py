"""The base of every model whose rows running workers hold copies of."""

from __future__ import annotations

from typing import Any

from django.db import models, router, transaction

from quota_platform.base.models.change import Change


class Published(models.Model):
    """Saved and deleted in one transaction with the note in the outbox, also where nobody opened a transaction.

    The turn is taken before the first write: two edits wait for each other here, where neither holds a row yet that
    the other wants.
    """

    class Meta:
        abstract = True

    def save(self, **kwargs: Any) -> None:
        using = kwargs.get("using") or router.db_for_write(type(self), instance=self)
        # No savepoint: an error spoils the surrounding transaction, as it does in Django's own save().
        with transaction.atomic(using=using, savepoint=False):
            Change.objects.using(using).take_turn()
            self.guard(using)
            super().save(**kwargs)

    def guard(self, using: str) -> None:
        """In the turn, before the row is written: raise IntegrityError for what no constraint can say."""

    def delete(self, using: Any = None, keep_parents: bool = False) -> tuple[int, dict[str, int]]:
        using = using or router.db_for_write(type(self), instance=self)
        with transaction.atomic(using=using, savepoint=False):
            Change.objects.using(using).take_turn()
            return super().delete(using=using, keep_parents=keep_parents)
