"""Which values of a connection contradict each other, its preset or the hosts that may be called."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_noop

from quota_platform.base import hosts
from quota_platform.base.kept import in_words
from tenants import completeness, presets, request_template

if TYPE_CHECKING:
    from tenants.models.connection import Connection

_ADDRESSES = ("base_url", "token_url", "issuer_url")
_SEALED = {"client_secret_sealed": "client_secret", "access_key_secret_sealed": "access_key_secret"}
_NEEDED_BY_GRANT = {
    "client_id": gettext_noop("Client credentials need a client ID."),
    "access_key_id": gettext_noop("This grant needs the access key (or user name) to send."),
}
_RESERVED_PARAMS = frozenset({"grant_type", "client_id", "client_secret", "username", "password", "scope"})


def faults(row: Connection) -> dict[str, str]:
    """The message for each field that is at fault; of two for one field the later. Its preset must be known."""
    named = (_missing_secrets, _missing, _led_away, _refused_urls, _wrong_templates)
    rules = (*named, _wrong_in_flight, _nothing_shared, _wrong_preset)
    return {field: message for rule in rules for field, message in rule(row)}


def _wrong_preset(row: Connection) -> Iterator[tuple[str, str]]:
    if row.pk and (unfit := _unfit_action(row)):
        said = _("This preset cannot invoke {action}; change or delete that action first.")
        yield "preset", said.format(action=unfit)


def _unfit_action(row: Connection) -> str:
    unfit = set(presets.KINDS) - set(presets.PRESETS[row.preset].kinds)
    names = row.tenants.filter(actions__kind__in=unfit).values_list("tenant_id", "actions__action_id", "actions__kind")
    first = names.first()
    if first is None:
        return ""
    return _("{tenant}/{action} (kind {kind})").format(tenant=first[0], action=first[1], kind=first[2])


def _missing(row: Connection) -> Iterator[tuple[str, str]]:
    if row.pace == row.Pace.FIXED and row.pace_per_minute is None:
        yield "pace_per_minute", _("Enter the calls a minute of the fixed pace.")
    preset = presets.PRESETS[row.preset]
    for field in preset.required:
        if not getattr(row, field) and not (field == "allowed_host_suffixes" and row.is_sandbox):
            yield field, _("The preset '{preset}' needs this field.").format(preset=row.get_preset_display())
    if row.is_sandbox and not row.base_url:
        yield "base_url", _("Enter the sandbox's address, one of SANDBOX_HOSTS.")
    of_grant = preset.required_by_grant.get(row.grant_type or preset.grant_type)
    if of_grant and not getattr(row, of_grant):
        yield of_grant, _(_NEEDED_BY_GRANT[of_grant])


def _missing_secrets(row: Connection) -> Iterator[tuple[str, str]]:
    """A row that lacks one since before this was asked can be edited in other ways, but not be switched on."""
    missing = completeness.missing_secrets(row)
    stored = type(row).objects.filter(pk=row.pk).first() if row.pk and missing else None
    known: list[str] = []
    if stored is not None and _sign_in_alike(stored, row) and (stored.enabled or not row.enabled):
        known = completeness.missing_secrets(stored)
    for name in missing:
        if name not in known:
            said = _("The preset {preset} needs the {secret}, and none is stored. Enter it.")
            yield name, said.format(preset=row.get_preset_display(), secret=completeness.named([name]))


def _sign_in_alike(one: Connection, other: Connection) -> bool:
    return all(getattr(one, name) == getattr(other, name) for name in ("preset", "grant_type", "client_auth"))


def _led_away(row: Connection) -> Iterator[tuple[str, str]]:
    """A secret stays with the hosts it was given for: who may edit an address could have it sent to themselves."""
    stored = type(row).objects.filter(pk=row.pk).values(*_ADDRESSES, *_SEALED).first() if row.pk else None
    if stored is None:
        return
    kept = [name for field, name in _SEALED.items() if stored[field] and stored[field] == getattr(row, field)]
    known = {hosts.origin(stored[field]) for field in _ADDRESSES}
    for field in _ADDRESSES:
        url = getattr(row, field)
        if kept and url and hosts.origin(url) not in known:
            said = _("Enter the {secrets} again: the stored value was entered for another address.")
            yield field, said.format(secrets=completeness.named(kept))


def _refused_urls(row: Connection) -> Iterator[tuple[str, str]]:
    for field in _ADDRESSES:
        if url := getattr(row, field):
            try:
                hosts.check_url(url, suffixes=row.suffixes(), sandbox_hosts=_sandbox_hosts(row))
            except hosts.HostRefused as error:
                yield field, in_words(str(error))


def _wrong_templates(row: Connection) -> Iterator[tuple[str, str]]:
    if row.probe_path:
        try:
            request_template.check_path(row.probe_path)
            if set(request_template.split(row.probe_path)[1::2]) - {"services"}:
                raise request_template.TemplateWrong(_("Only {services} can be filled in a test path."))
        except request_template.TemplateWrong as error:
            yield "probe_path", str(error)
    extra = row.token_extra_params
    if not isinstance(extra, dict) or not all(isinstance(value, str) for value in extra.values()):
        yield "token_extra_params", _('Write an object of texts, such as {"audience": "https://api.example.com"}.')
    elif taken := _RESERVED_PARAMS & set(extra):
        yield "token_extra_params", _("{names}: use the field of its own.").format(names=", ".join(sorted(taken)))


def _wrong_in_flight(row: Connection) -> Iterator[tuple[str, str]]:
    least, most = row.min_in_flight, row.max_in_flight
    if least is not None and most is not None and least > most:
        yield "min_in_flight", _("The smallest number in flight must not be above the largest.")


def _nothing_shared(row: Connection) -> Iterator[tuple[str, str]]:
    if row.shared and not row.learns_in_flight and row.pace == row.Pace.OFF:
        yield (
            "shared",
            _("There is nothing to share: the connection neither learns its calls in flight nor has a pace."),
        )


def _sandbox_hosts(row: Connection) -> list[str]:
    return (settings.ENV.SANDBOX_HOSTS or [_("(none: SANDBOX_HOSTS is empty)")]) if row.is_sandbox else []
