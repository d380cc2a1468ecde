"""The form of a row, which reports at each field the first thing that is wrong there."""

from __future__ import annotations

from django import forms
from django.core.exceptions import NON_FIELD_ERRORS, ValidationError


class RowForm(forms.ModelForm):
    """A model form whose model does not judge a value that could not be read.

    The model misses it and would ask for a value beside the field's own message, for example "Give the window in
    seconds." after "Give a length of time such as 60, 1 min, 2 h or 1 day."
    """

    def _update_errors(self, errors: ValidationError) -> None:
        if hasattr(errors, "error_dict"):
            read = {name for name in errors.error_dict if name == NON_FIELD_ERRORS or name not in self.errors}
            if not read:
                return
            errors = ValidationError({name: errors.error_dict[name] for name in errors.error_dict if name in read})
        super()._update_errors(errors)  # type: ignore[misc]
