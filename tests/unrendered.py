"""Refused forms without the HTML of their page, for tests of the refusal and not of the page that shows it.

To write a form of the admin takes longer than all the rest of a request. That such pages are written, with errors too,
is for other tests to show.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from django.template.response import SimpleTemplateResponse
from django.test import Client


def refused(client: Client, url: str, data: Mapping[str, Any]) -> Any:
    """Post a form that has errors; ``context_data`` of the response is what its page would be written from."""
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(SimpleTemplateResponse, "rendered_content", "")
        response: Any = client.post(url, data)
    assert response.status_code == 200, "the form was accepted"
    return response


def errors(client: Client, url: str, data: Mapping[str, Any]) -> Mapping[str, list[str]]:
    """Those of the page's own form, by field."""
    found: Mapping[str, list[str]] = refused(client, url, data).context_data["adminform"].form.errors
    return found
