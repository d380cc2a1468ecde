"""The button that adds a line below a form: its name is a sentence, so the name of the row stays small in it."""

from __future__ import annotations

import json
from typing import Any

from django.contrib.admin.helpers import InlineAdminFormSet
from django.utils.text import capfirst
from django.utils.translation import gettext


class _Lines(InlineAdminFormSet):
    """Django writes the row's name with a capital letter in the middle of the sentence."""

    def inline_formset_data(self) -> str:
        data = json.loads(super().inline_formset_data())
        said = gettext("Add another %(verbose_name)s") % {"verbose_name": self.opts.verbose_name}
        data["options"]["addText"] = capfirst(said)
        return json.dumps(data)


class InlineNames:
    """A model admin with such lines."""

    def get_inline_formsets(self, *args: Any, **kwargs: Any) -> Any:
        found = super().get_inline_formsets(*args, **kwargs)  # type: ignore[misc]
        for lines in found:
            lines.__class__ = _Lines  # Django makes them itself, and asks for no class
        return found
