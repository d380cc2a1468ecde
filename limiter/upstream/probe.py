"""The connection test: each step towards a first response, and what came of it, in words for an administrator."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from urllib.parse import urlsplit

import requests
from django.conf import settings
from django.utils.translation import gettext as _

from limiter.upstream import grants, pins
from limiter.upstream.discovery import Discovery, Endpoints
from limiter.upstream.grants import GrantError, masked
from limiter.upstream.pins import Pins
from quota_platform.base import hosts
from quota_platform.base.kept import in_words
from quota_platform.base.languages import number
from tenants import presets
from tenants.directory import ConnectionSpec
from tenants.models import Connection
from tenants.spec_rows import connection_spec

_TIMEOUT_S = 10.0
_SHOWN_CHARS = 200


@dataclass(frozen=True, slots=True)
class ProbeStep:
    """One step of the test. ``detail`` says what worked, or what to change; it holds no secret."""

    name: str
    ok: bool
    detail: str


def test_connection(connection: Connection, *, pinned: Pins | None = None) -> list[ProbeStep]:
    """Resolve, authenticate, call once; stops at the first step that fails. Blocks for half a minute at most.

    The row need not be saved. Nothing is cached, and no shared token is touched.
    """
    spec = connection_spec(connection)
    pinned = pinned or Pins(sandbox_hosts=settings.ENV.SANDBOX_HOSTS)
    steps = []
    for step in _steps(spec, pinned):
        steps.append(step)
        if not step.ok:
            break
    return steps


test_connection.__test__ = False  # type: ignore[attr-defined]  # pytest would take its name for a test's


def _steps(spec: ConnectionSpec, pinned: Pins) -> Iterator[ProbeStep]:
    with pins.session(pinned) as http:
        find = Discovery(http, wall=time.time(), sandbox_hosts=pinned.sandbox_hosts)
        try:
            known = find.token_endpoint(spec, Endpoints())
        except GrantError as error:
            yield ProbeStep(_("Find the token endpoint"), False, in_words(error.reason))
            return
        yield ProbeStep(_("Find the token endpoint"), True, _found(known.token_url, guessed=known.token_at == 0))
        yield _resolve(pinned, known.token_url)
        token = ""
        try:
            grant = _token(spec, http, known)
            token = grant.value
            yield ProbeStep(_("Get an access token"), True, _issued(grant))
            known = find.api_host(spec, known, claims=grant.claims)
        except GrantError as error:
            step = _("Find the API host") if token else _("Get an access token")
            yield ProbeStep(step, False, in_words(error.reason))
            return
        yield ProbeStep(_("Find the API host"), True, _found(known.api_base, guessed=known.api_at == 0))
        yield _resolve(pinned, known.api_base)
        yield _call(spec, http, known.api_base, token)


def _found(url: str, *, guessed: bool) -> str:
    return _("{url} (CXone did not say; this is its usual address)").format(url=url) if guessed else url


def _resolve(pinned: Pins, url: str) -> ProbeStep:
    parts = urlsplit(url)
    host = parts.hostname or ""
    name = _("Resolve {host}").format(host=host)
    try:
        addresses = pinned.resolve(host, parts.port or (443 if parts.scheme == "https" else 80))
    except hosts.HostRefused as error:
        return ProbeStep(name, False, in_words(str(error)))
    except OSError:
        return ProbeStep(name, False, _("The name does not resolve. Check its spelling, and this server's DNS."))
    return ProbeStep(name, True, ", ".join(addresses))


def _token(spec: ConnectionSpec, http: requests.Session, known: Endpoints) -> grants.Grant:
    request = grants.request_for(spec, url=known.token_url)
    return grants.send(request, http=http, connect_timeout_s=spec.connect_timeout_s, wall=time.time())


def _issued(grant: grants.Grant) -> str:
    """How long the token is good for, and the account's names in its claims."""
    named = {_("business unit"): "icBUId", _("area"): "area", _("tenant"): "tenantId"}
    said = [f"{word} {grant.claims[claim]}" for word, claim in named.items() if grant.claims.get(claim)]
    issued = _("Issued for {seconds} s.").format(seconds=number(grant.lifetime_s, grouped=False))
    names = _("It names {what}.").format(what=", ".join(said))
    return f"{issued} {masked(names, ())}" if said else issued


def _call(spec: ConnectionSpec, http: requests.Session, base: str, token: str) -> ProbeStep:
    path = spec.probe_path.replace("{services}", presets.services_prefix(spec.api_version))
    name = f"GET {path}"
    deadline = time.monotonic() + _TIMEOUT_S
    try:
        with http.get(
            base + path,
            headers={"Authorization": f"Bearer {token}"},
            timeout=(spec.connect_timeout_s, _TIMEOUT_S),
            allow_redirects=False,
            stream=True,
        ) as response:
            body = grants.read_bounded(response, deadline=deadline)
            status = response.status_code
    except grants.GrantFailed as error:
        return ProbeStep(name, False, in_words(error.reason))
    except hosts.HostRefused as error:
        return ProbeStep(name, False, in_words(str(error)))
    except requests.RequestException as error:
        said = _("The API host was not reached ({fault}).").format(fault=type(error).__name__)
        return ProbeStep(name, False, said)
    said = masked(body[:4096].decode("utf-8", "replace"), (token,))[:_SHOWN_CHARS]
    return ProbeStep(name, *_judge(status, said, harmless=spec.probe_path != "/"))


def _judge(status: int, said: str, *, harmless: bool) -> tuple[bool, str]:
    answered = _("Answered {status}: {said}") if said else _("Answered {status}.")
    answered = answered.format(status=status, said=said)
    if status == 401:
        return False, _(
            "{answered} The API does not accept the token; check that base URL and token URL belong together."
        ).format(answered=answered)
    if status == 403:
        text = _("{answered} The account lacks a right; give its role access to the API.")
        return False, text.format(answered=answered)
    if 300 <= status < 400:
        text = _("{answered} Redirects are not followed; enter the base URL it leads to.")
        return False, text.format(answered=answered)
    if status >= 500:
        return False, _("{answered} The API is there but fails; try again later.").format(answered=answered)
    if status >= 400 and harmless:
        text = _("{answered} Check the base URL, the API version and the test path.")
        return False, text.format(answered=answered)
    if status >= 400:
        text = _("{answered} The API host answers; enter a test path to try more than that.")
        return True, text.format(answered=answered)
    return True, answered
