"""Templates of an upstream path or query value: ``{name}`` stands for a built-in or a top-level key of the payload."""

from __future__ import annotations

import re

from django.utils.translation import gettext as _

BUILT_IN = frozenset({"action_id", "tenant_id", "services"})
"""``services``: the path of the CXone services of the connection's API version."""

_PLACEHOLDER = re.compile(r"\{([A-Za-z_][A-Za-z0-9_-]{0,63})\}")
_PATH = re.compile(r"[A-Za-z0-9._~!$&'()*+,;=:@/-]*", re.ASCII)
KEY = re.compile(r"[A-Za-z_][A-Za-z0-9_-]{0,63}", re.ASCII)
PARAMETER = re.compile(r"[A-Za-z0-9_$.\[\]-]{1,64}", re.ASCII)


class TemplateWrong(ValueError):
    """A template that cannot be used; the message says what to change."""


def split(template: str) -> list[str]:
    """Literal text and placeholder names in turn: ``"/a/{b}/c"`` is ``["/a/", "b", "/c"]``."""
    parts = _PLACEHOLDER.split(template)
    if any("{" in literal or "}" in literal for literal in parts[::2]):
        raise TemplateWrong(_("Write placeholders as {name}, with letters, digits, dash and underscore only."))
    return parts


def check_path(template: str) -> None:
    """Raise :class:`TemplateWrong` unless ``template`` is a path that no value can leave."""
    parts = split(template)
    literal = "".join(parts[::2])
    if not template.startswith(("/", "{services}/")):
        raise TemplateWrong(_("Start the path with / or {services}/."))
    if not _PATH.fullmatch(literal):
        said = _("Use letters, digits and -._~!$&'()*+,;=:@/ in a path; query and fragment do not go here.")
        raise TemplateWrong(said)
    segments = template.split("/")
    if any(segment in (".", "..") for segment in segments) or "//" in template:
        raise TemplateWrong(_("Leave empty, . and .. segments out of the path."))
    if "services" in parts[3::2] or ("services" in parts[1:2] and parts[0]):
        raise TemplateWrong(_("{services} may only start the path."))


def check_query(template: object) -> None:
    """Raise :class:`TemplateWrong` unless ``template`` maps parameter names to templates."""
    if not isinstance(template, dict):
        raise TemplateWrong(_('Write an object such as {"customerId": "{customerId}"}.'))
    for name, value in template.items():
        if not PARAMETER.fullmatch(str(name)):
            said = _("{name} is no parameter name; use letters, digits and _ $ . [ ] -.")
            raise TemplateWrong(said.format(name=repr(str(name)[:64])))
        if not isinstance(value, str):
            said = _("The value of {name} must be a text such as {example}.")
            raise TemplateWrong(said.format(name=name, example="{customerId}"))
        if "services" in split(value)[1::2]:
            raise TemplateWrong(_("{services} is for paths."))


def check_keys(keys: object, *, most: int) -> None:
    """Raise :class:`TemplateWrong` unless ``keys`` is a list of distinct payload keys, ``most`` at most."""
    if not isinstance(keys, list) or not all(isinstance(key, str) and KEY.fullmatch(key) for key in keys):
        raise TemplateWrong(_('Write a list of payload keys such as ["customerId", "language"].'))
    if len(set(keys)) != len(keys):
        raise TemplateWrong(_("Name each payload key once."))
    if len(keys) > most:
        raise TemplateWrong(_("Name at most {most} payload keys.").format(most=most))
