"""Entries as the plain data that the cache holds, and out of it, whichever release wrote it.

Fields that are not known are ignored. One that is missing was not known to the release that wrote it: with ``whole``
that is a LookupError, for the database has the field's value; without, the field gets its default.
"""

from __future__ import annotations

import dataclasses
import sys
from typing import Any

from limiter.core import algorithms
from limiter.core.adaptive import AdaptiveSettings
from limiter.core.types import CountedPer, Limit, ServiceClass, Share
from limiter.core.versioned import build
from limiter.policies.compiled import PolicySpec
from limiter.policies.effective import TenantRules
from limiter.policies.plan import OverrideSpec
from tenants import directory, spec_data
from tenants.directory import ActionSpec, ConnectionSpec, KeySpec, TenantSpec
from tenants.models import ApiKey

Plain = dict[str, Any]


def of_rules(rules: TenantRules) -> Plain:
    return {
        "tenant": spec_data.as_dict(rules.tenant),
        "policy_id": rules.policy_id,
        "action_policy_ids": rules.action_policy_ids,
        "overrides": [spec_data.as_fields(override) for override in rules.overrides],
    }


def rules(data: Plain, *, whole: bool = True) -> TenantRules:
    overrides = tuple(build(OverrideSpec, each, whole=whole) for each in data["overrides"])
    payload = {**data, "tenant": tenant(data["tenant"], whole=whole), "overrides": overrides}
    return build(TenantRules, payload, whole=whole)


def tenant(data: Plain, *, whole: bool = True) -> TenantSpec:
    actions = {sys.intern(name): _action(payload, whole=whole) for name, payload in data["actions"].items()}
    payload = {**data, "connection": _connection(data["connection"], whole=whole), "actions": actions}
    return build(TenantSpec, payload, whole=whole)


def _connection(data: Plain, *, whole: bool) -> ConnectionSpec:
    """A field that the release of the writer did not know may have been set since, by a person in this one: so none
    has a default here, and the row is read.
    """
    payload = {
        **data,
        "allowed_host_suffixes": tuple(data["allowed_host_suffixes"]),
        "token_extra_params": tuple(map(tuple, data["token_extra_params"])),
    }
    return directory.same_connection(build(ConnectionSpec, payload, whole=whole))


def _action(data: Plain, *, whole: bool) -> ActionSpec:
    payload = {
        **data,
        "action_id": sys.intern(data["action_id"]),
        "kind": sys.intern(data["kind"]),
        "query_template": tuple(map(tuple, data["query_template"])),
        "param_map": tuple(data["param_map"]),
        "success_statuses": directory.kept_once(tuple(data["success_statuses"])),
    }
    if "failure_values" in data:
        payload["failure_values"] = tuple(data["failure_values"])
    return build(ActionSpec, payload, whole=whole)


def of_key(spec: KeySpec) -> Plain:
    """The first release looks for the tenants of every key in its entry. A platform key's says nothing of them: that
    release then reads the row, where an empty list would make it refuse them all. So it does where a field is more, as
    the bound of few keys on their class is.
    """
    data = spec_data.as_dict(spec)
    if spec.max_class == ApiKey.MaxClass.CRITICAL:
        del data["max_class"]
    return data if spec.tenant_id is None else {**data, "acts_for": []}


def key(data: Plain, *, whole: bool = True) -> KeySpec:
    return build(KeySpec, {"max_class": ApiKey.MaxClass.CRITICAL.value, **data}, whole=whole)


def of_policy(spec: PolicySpec) -> Plain:
    data = dataclasses.asdict(spec)
    for limit in data["limits"]:
        limit["algorithm"], limit["counted_per"] = str(limit["algorithm"]), str(limit["counted_per"])
        if limit["share"]:
            limit["share"]["service_class"] = str(limit["share"]["service_class"])
    return data


def policy(data: Plain, *, whole: bool = True) -> PolicySpec:
    adaptive = data["adaptive"]
    payload = {
        # The first release does not write these, and nobody has changed them there.
        "wait_seconds": 0,
        "reserve_seconds": 0,
        **data,
        "limits": tuple(_limit(line, whole=whole) for line in data["limits"]),
        "adaptive": build(AdaptiveSettings, adaptive, whole=whole) if adaptive else None,
    }
    return build(PolicySpec, payload, whole=whole)


def _limit(data: Plain, *, whole: bool) -> Limit:
    share = data.get("share")
    payload = {
        "reserve_us": 0,
        "counted_by": "",
        "max_values": 0,
        "value": "",
        **data,
        "share": build(Share, {**share, "service_class": ServiceClass(share["service_class"])}, whole=whole)
        if share
        else None,
        "algorithm": algorithms.known(data["algorithm"]),
        "counted_per": CountedPer(data["counted_per"]),
        "alert_at": tuple(data["alert_at"]),
    }
    return build(Limit, payload, whole=whole)
