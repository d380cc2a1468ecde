"""The shape of the routes that show the record: rows by their number, newest first, that nobody writes here."""

from __future__ import annotations

from typing import TypeVar

from django.db.models import Model

from quota_platform.base.api.filters import DeclaredFilters
from quota_platform.base.api.paging import Keyset
from quota_platform.base.api.resource import ReadResource

M = TypeVar("M", bound=Model)


class RecordResource(ReadResource[M]):
    """List and read, page by page however many rows there are."""

    lookup_field = "id"
    lookup_value_regex = "[0-9]{1,18}"
    pagination_class = Keyset
    filter_backends = (DeclaredFilters,)
    list_parameters = ("cursor", "page_size")
