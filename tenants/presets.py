"""What each connection preset and action kind fills in, and which fields of the form apply to it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from urllib.parse import urlsplit

CXONE_SUFFIXES = ("niceincontact.com", "nice-incontact.com", "nicecxone.com", "nicecxone-gov.com", "incontact.com")
GENESYS_SUFFIXES = (
    "mypurecloud.com",
    "mypurecloud.com.au",
    "mypurecloud.ie",
    "mypurecloud.de",
    "mypurecloud.jp",
    "pure.cloud",
    "us-gov-pure.cloud",
)
NO_SCOPE = "-"
"""Entered as the scope of a connection whose preset has one, it sends none."""

_ALWAYS = frozenset(
    {
        "name",
        "preset",
        "enabled",
        "is_sandbox",
        "base_url",
        "token_url",
        "allowed_host_suffixes",
        "token_refresh_skew_s",
        "connect_timeout_s",
        "total_deadline_s",
        "max_response_bytes",
        "max_retries",
        "breaker_failure_percent",
        "breaker_min_calls",
        "breaker_window_s",
        "breaker_cooldown_s",
        "dedupe",
        "dedupe_ttl_s",
        "probe_path",
    }
)
_CLIENT = frozenset({"client_id", "client_secret", "client_auth", "basic_urlencode"})
_ACCESS_KEY = frozenset({"access_key_id", "access_key_secret"})
_CXONE = frozenset({"issuer_url", "area", "cxone_tenant_id", "api_version"})


@dataclass(frozen=True, slots=True)
class RateHeaders:
    """Headers, in lower case, in which responses give the rest of an upstream's limit and the time to its reset.

    ``structured``: one header with both, as a list of structured fields. Otherwise ``remaining``, or ``used`` and
    ``limit``; and ``reset``, in seconds, or as a time since the epoch in seconds or milliseconds.
    """

    structured: str = ""
    remaining: str = ""
    used: str = ""
    limit: str = ""
    reset: str = ""


RATE_LIMIT = RateHeaders(structured="ratelimit")
"""``RateLimit: "default";r=50;t=30`` of draft-ietf-httpapi-ratelimit-headers."""
RATE_LIMIT_OF_EARLIER_DRAFTS = RateHeaders(remaining="ratelimit-remaining", reset="ratelimit-reset")
X_RATE_LIMIT = RateHeaders(remaining="x-ratelimit-remaining", reset="x-ratelimit-reset")
GENESYS_RATE_LIMIT = RateHeaders(
    used="inin-ratelimit-count", limit="inin-ratelimit-allowed", reset="inin-ratelimit-reset"
)


@dataclass(frozen=True, slots=True)
class Preset:
    """The values a connection gets where its own field is blank.

    ``fields``: names of the form's fields that apply (``client_secret`` and ``access_key_secret`` are the write-only
    ones). ``required``: those that must be filled. ``overload``: statuses that mean "too much".
    ``backoff_base_s`` and ``backoff_factor``: the longest random wait before the first repeat, and its growth.
    ``rate_headers``: those of its responses; CXone publishes none.
    ``issuer_url``: where it discovers its hosts; with one the base URL may be left blank.
    ``required_by_grant``: a field that a grant needs. ``public_grants``: grants that a client without a secret may use.
    ``area_host``, ``sign_in_host``: where the token endpoint is, instead of beside the API: the host of an area, or
    the first part of its name in place of ``api``.
    """

    label: str
    kinds: tuple[str, ...]
    grant_type: str
    client_auth: str
    fields: frozenset[str]
    required: tuple[str, ...]
    suffixes: tuple[str, ...] = CXONE_SUFFIXES
    scope: str = ""
    token_path: str = "/oauth/token"
    area_host: str = ""
    sign_in_host: str = ""
    required_by_grant: Mapping[str, str] = field(default_factory=dict)
    public_grants: frozenset[str] = frozenset()
    token_refresh_skew_s: int = 300
    issuer_url: str = ""
    probe_path: str = "/"
    overload: frozenset[int] = frozenset({429, 503})
    backoff_base_s: float = 2.0
    backoff_factor: float = 3.0
    rate_headers: tuple[RateHeaders, ...] = ()

    @property
    def default_kind(self) -> str | None:
        """What an action that is not registered is taken for; None when it cannot be guessed."""
        return self.kinds[0] if "{action_id}" in KINDS[self.kinds[0]].path else None


_CXONE_KINDS = ("script_start", "signal", "work_item", "rest")
PRESETS: dict[str, Preset] = {
    "cxone_webaction": Preset(
        label="CXone web actions (client credentials)",
        kinds=("webaction", "rest"),
        grant_type="client_credentials",
        client_auth="body",
        scope="webaction:execute",
        token_refresh_skew_s=30,
        fields=_ALWAYS | _CLIENT | {"scope"},
        required=("base_url", "client_id"),
        backoff_base_s=0.5,
        backoff_factor=2.0,
    ),
    "cxone": Preset(
        label="CXone business unit (access key and application)",
        kinds=_CXONE_KINDS,
        grant_type="password",
        client_auth="basic",
        token_path="/auth/token",
        issuer_url="https://cxone.niceincontact.com",
        fields=_ALWAYS | _CLIENT | _ACCESS_KEY | _CXONE | {"scope", "token_body"},
        required=("client_id", "access_key_id"),
        probe_path="{services}/server-time",
    ),
    "cxone_access_key": Preset(
        label="CXone business unit (access key only)",
        kinds=_CXONE_KINDS,
        grant_type="access_key",
        client_auth="none",
        token_path="/authentication/v1/token/access-key",
        area_host="{area}.nice-incontact.com",
        issuer_url="https://cxone.niceincontact.com",
        fields=_ALWAYS | _ACCESS_KEY | _CXONE,
        required=("access_key_id",),
        probe_path="{services}/server-time",
    ),
    "genesys": Preset(
        label="Genesys Cloud organisation",
        kinds=("genesys_execute", "rest"),
        grant_type="client_credentials",
        client_auth="basic",
        suffixes=GENESYS_SUFFIXES,
        sign_in_host="login",
        fields=_ALWAYS | _CLIENT,
        required=("base_url", "client_id"),
        probe_path="/api/v2/tokens/me",
        backoff_base_s=1.0,
        backoff_factor=2.0,
        rate_headers=(GENESYS_RATE_LIMIT,),
    ),
    "generic_oauth2": Preset(
        label="Any OAuth2 API",
        kinds=("rest", "webaction"),
        grant_type="client_credentials",
        client_auth="basic",
        suffixes=(),
        # A person may sign in through a client that has no secret (RFC 6749, 4.3.2).
        public_grants=frozenset({"password"}),
        required_by_grant={
            "client_credentials": "client_id",
            "password": "access_key_id",
            "access_key": "access_key_id",
        },
        fields=_ALWAYS | _CLIENT | _ACCESS_KEY | {"scope", "grant_type", "token_body", "token_extra_params"},
        required=("base_url", "allowed_host_suffixes"),
        backoff_base_s=0.5,
        backoff_factor=2.0,
        rate_headers=(RATE_LIMIT, RATE_LIMIT_OF_EARLIER_DRAFTS, X_RATE_LIMIT),
    ),
}
DEFAULT_PRESET = "cxone_webaction"
DEFAULT_API_VERSION = "v30.0"
DEFAULT_AREA = "na1"

SUCCESS = (200, 201, 202, 204)
WORK_ITEM_QUERY = {key: "{" + key + "}" for key in ("workItemID", "workItemPayload", "workItemType", "from")}


@dataclass(frozen=True, slots=True)
class ActionKind:
    """What an action of this kind calls where its own field is blank.

    ``fields``: names of the form's fields that apply beside the common ones. ``body``: the caller's JSON is sent on;
    otherwise its values go where the templates and ``param_map`` say, and no body is sent.
    """

    label: str
    method: str = "POST"
    path: str = ""
    fields: frozenset[str] = frozenset()
    required: tuple[str, ...] = ()
    body: bool = False


KINDS: dict[str, ActionKind] = {
    "webaction": ActionKind(
        label="web action: POST /webactions/{action_id}/invoke",
        path="/webactions/{action_id}/invoke",
        fields=frozenset({"path_template"}),
        body=True,
    ),
    "script_start": ActionKind(
        label="start a Studio script",
        path="{services}/scripts/start",
        fields=frozenset({"skill_id", "script_path", "script_id", "param_map", "query_template"}),
        required=("skill_id",),
    ),
    "signal": ActionKind(
        label="signal a running Studio script",
        path="{services}/interactions/{contactId}/signal",
        fields=frozenset({"param_map"}),
    ),
    "work_item": ActionKind(
        label="create a work item",
        path="{services}/interactions/work-items",
        fields=frozenset({"point_of_contact", "query_template"}),
        required=("point_of_contact",),
    ),
    "rest": ActionKind(
        label="any REST call",
        fields=frozenset({"method", "path_template", "query_template"}),
        required=("path_template",),
        body=True,
    ),
    "genesys_execute": ActionKind(
        label="execute a Genesys data action",
        path="/api/v2/integrations/actions/{action_id}/execute",
        fields=frozenset({"path_template"}),
        body=True,
    ),
}


def services_prefix(api_version: str) -> str:
    """Where the CXone platform services of one version live under the API host."""
    return f"/inContactAPI/services/{api_version or DEFAULT_API_VERSION}"


def token_url(preset: str, *, base_url: str, issuer_url: str, area: str) -> str:
    """The token endpoint of a connection that names none; for ``cxone`` the fallback should discovery fail."""
    chosen = PRESETS[preset]
    if chosen.area_host and area:
        return f"https://{chosen.area_host.format(area=area)}{chosen.token_path}"
    host, parts = issuer_url or base_url, urlsplit(base_url)
    if chosen.sign_in_host and parts.netloc.startswith("api."):
        host = f"{parts.scheme}://{chosen.sign_in_host}.{parts.netloc.removeprefix('api.')}"
    return host.rstrip("/") + chosen.token_path
