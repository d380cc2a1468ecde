"""IDs that differ only in capitals are one ID to people: the second is refused, with the name of the first.

Not a unique constraint: a deployment may have such pairs already, and its migration would fail, or leave it with
another schema than everybody else's. Instead the ID is looked for when a row is checked, for people, and once more
when it is saved, in the turn that all edits wait for, so that of two at the same moment only one is made. Pairs from
before stay usable and editable; a system check names them.
"""

from __future__ import annotations

from typing import Any, ClassVar

from django.core.exceptions import ValidationError
from django.db import IntegrityError
from django.db.models import Count
from django.db.models.functions import Lower
from django.utils.translation import gettext as _

from quota_platform.base.models.published import Published


class OneCase(Published):
    """A row whose ID, in column ``one_case``, is unique whatever its capitals among rows equal in ``one_case_in``."""

    one_case: ClassVar[str]
    one_case_in: ClassVar[tuple[str, ...]] = ()

    class Meta:
        abstract = True

    def clean_fields(self, exclude: Any = None) -> None:
        """Also refuse an ID that another row has in other capitals."""
        errors: dict[str, Any] = {}
        try:
            super().clean_fields(exclude=exclude)
        except ValidationError as error:
            errors = error.error_dict
        field = self.one_case
        if field not in errors and field not in (exclude or ()) and (other := self._in_another_case()):
            said = _("This differs from {other} in capitals only; choose another ID.")
            errors[field] = [ValidationError(said.format(other=other))]
        if errors:
            raise ValidationError(errors)

    def guard(self, using: str) -> None:
        if other := self._in_another_case(using):
            raise IntegrityError(f"{getattr(self, self.one_case)} differs from {other} in capitals only")

    def _in_another_case(self, using: str | None = None) -> str | None:
        """The other row's ID; None also for a row that has its own since before there was this rule."""
        own = getattr(self, self.one_case)
        within = {name: getattr(self, name) for name in self.one_case_in}
        if None in within.values():
            return None
        rows = type(self)._default_manager.using(using)
        others = rows.annotate(folded=Lower(self.one_case)).filter(**within, folded=own.lower())
        found = others.exclude(**{self.one_case: own}).exclude(pk=self.pk).values_list(self.one_case, flat=True).first()
        if found is None or rows.filter(pk=self.pk, **{self.one_case: own}).exists():
            return None
        return str(found)

    @classmethod
    def pairs(cls) -> list[str]:
        """IDs, in small letters, that several rows have in different capitals."""
        rows = cls._default_manager.order_by().annotate(folded=Lower(cls.one_case)).values(*cls.one_case_in, "folded")
        return sorted({str(row["folded"]) for row in rows.annotate(rows=Count("pk")).filter(rows__gt=1)})
