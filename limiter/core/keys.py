"""Every key name in the limiter's store, spelt in one place; each starts with the deployment's prefix.

All keys of one decision carry the hash tag of the tenant's connection, ``{c<id>}``, so that one script may touch them
on Redis Cluster. Names and ids that stand in a key are of the alphabet ``A-Za-z0-9._-`` (checked where they are
edited, and by the gateway for an unlisted action), so ``:`` separates them without escaping.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable

from limiter.core.algorithms import pool_in_count, rules_of
from limiter.core.types import CountedPer, Limit, Share, Subject
from limiter.core.values import MISSING, OTHERS
from limiter.stores.prefix import named


def connections() -> str:
    """Set of the connection ids seen in calls: where a reader finds every per-connection key."""
    return named("q:connections")


def tasks() -> str:
    """Hash of periodic task -> how its last run went, as JSON."""
    return named("q:tasks")


def workers() -> str:
    """Hash of worker name -> its last heartbeat, as JSON."""
    return named("q:workers")


def recorded() -> str:
    """Sorted set of the seconds in which workers counted demand, until the database has them; see ``cover.lua``."""
    return named("q:recorded")


def connection_ids(members: Iterable[bytes]) -> list[int]:
    """The ids in :func:`connections`, in order; a member that is no id is another release's."""
    return sorted(int(each) for each in members if each.isdigit())


def alive() -> str:
    """Sorted set of the web processes that live, by when the store last heard them: how many share a limit."""
    return named("q:alive")


def tag(connection: int) -> str:
    """The start of every key of one connection."""
    return named(f"q:{{c{connection}}}")


def window(limit: Limit, subject: Subject) -> str:
    """Where a limit keeps its count for this subject.

    Most algorithms carry their count over when the window is edited; one that cannot has the window in its key.
    """
    match limit.counted_per:
        case CountedPer.ACTION:
            scope = f"a:{subject.tenant}:{subject.action}"
        case CountedPer.TENANT:
            scope = f"t:{subject.tenant}"
        case CountedPer.KEY:
            scope = f"k:{subject.key}"
        case CountedPer.CONNECTION:
            scope = "c"
    kind = rules_of(limit.algorithm).key_part(limit)
    name = f"{tag(subject.connection)}:w:{limit.name}:{kind}:{scope}"
    if not limit.counted_by:
        return name
    if limit.value in (MISSING, OTHERS) and limit.counted_per is CountedPer.CONNECTION:
        return f"{name}:v:{subject.tenant}:{limit.value}"  # no other tenant uses up this count
    return f"{name}:v:{limit.value}"


def others(limit: Limit, subject: Subject) -> str:
    """Where the values above the bound of a limit are counted together."""
    return window(dataclasses.replace(limit, value=OTHERS), subject)


def values(limit: Limit, subject: Subject) -> str:
    """Sorted set of the digests that a tenant has in use -> when their counts end (us); see ``decide.lua``."""
    return f"{window(dataclasses.replace(limit, counted_by=''), subject)}:values:{subject.tenant}"


def shares(limit: Limit, subject: Subject, share: Share) -> str:
    """Hash of who uses how much of a shared limit; see ``look_at_share.lua``.

    Its slices depend on the time that counts.
    """
    return window(limit, subject) if pool_in_count(limit) else shares_beside(limit, subject, share)


def shares_beside(limit: Limit, subject: Subject, share: Share) -> str:
    """The shares of a limit in a hash of their own, where release 0.2.0 kept those of each."""
    return f"{window(limit, subject)}:shares{share.over_us}"


def appointments(window_key: str) -> str:
    """Units of a limit that are held for refused calls, beside its count; see ``appointments.lua``."""
    return f"{window_key}:appointments"


def in_flight(connection: int) -> str:
    """The learned limit of calls in flight; see ``learned.lua``."""
    return f"{tag(connection)}:in-flight"


def in_flight_ends(connection: int) -> str:
    """List of how calls ended lately, newest last; see ``learn.lua``."""
    return f"{tag(connection)}:in-flight:ends"


def in_flight_due(connection: int) -> str:
    """When the next step of the learned limit is due."""
    return f"{tag(connection)}:in-flight:due"


def multiplier(connection: int, tenant: str, action: str | None) -> str:
    """The adaptive multiplier in millionths; ``action`` is None when the scope is the tenant."""
    return f"{tag(connection)}:m:{tenant}" + ("" if action is None else f":{action}")


def samples(connection: int, tenant: str, action: str | None) -> str:
    """List of samples, newest last: what the multiplier is computed from; see ``record.lua``."""
    return f"{tag(connection)}:lat:{tenant}" + ("" if action is None else f":{action}")


def overdue(connection: int, tenant: str, action: str | None) -> str:
    """Hash of worker -> for how long calls of its are in flight that are overdue; see ``overdue.lua``."""
    return f"{tag(connection)}:overdue:{tenant}" + ("" if action is None else f":{action}")


def events(connection: int) -> str:
    """Stream of throttle events that are not in the database yet."""
    return f"{tag(connection)}:events"


def floods(connection: int) -> str:
    """Hash that counts the refusals of one kind and second, and tells the last of those without an entry."""
    return f"{tag(connection)}:floods"


def usage(connection: int) -> str:
    """Hash of ``<minute>|<tenant>|<action>|<counter>`` -> count, until Celery moves it to the database."""
    return f"{tag(connection)}:usage"


def demand(connection: int) -> str:
    """Sorted set of the minutes whose demand is not in the database yet; see ``limiter/demand/lua/add.lua``."""
    return f"{tag(connection)}:demand"


def near(connection: int) -> str:
    """Sorted set of the tenants and actions whose calls found a limit at an alert's threshold, by the last second."""
    return f"{demand(connection)}:near"


def called(connection: int) -> str:
    """Sorted set of the tenants that have called lately, by the last second."""
    return f"{demand(connection)}:called"


def refused(connection: int) -> str:
    """Sorted set of the tenants of which a call was refused lately, by the last second."""
    return f"{demand(connection)}:refused"


def demand_sums(connection: int, minute: int) -> str:
    """Hash of ``<second>|<outcome>`` -> calls of all tenants in that second; see ``limiter/demand/sums.py``."""
    return f"{demand(connection)}:sums:{minute}"


def demand_of(connection: int, minute: int) -> str:
    """Hash of ``<second>|<tenant>`` -> the calls of that second, as its workers counted them."""
    return f"{demand(connection)}:{minute}"


def demand_batch(connection: int, worker: str) -> str:
    """Number of the last batch of demand that the store took in from a worker."""
    return f"{demand(connection)}:by:{worker}"


def given_back(connection: int) -> str:
    """Sorted set of decisions whose units were given back lately, so that none are twice; see ``give_back.lua``."""
    return f"{tag(connection)}:given-back"


def totals(connection: int) -> str:
    """Hash of ``<tenant>|<counter>`` -> count since the store was empty: what Prometheus reads."""
    return f"{tag(connection)}:totals"


def token(uid: str) -> str:
    """An upstream access token, sealed, shared by all workers."""
    return named(f"q:token:{uid}")


def due(connection: int, tenant: str, action: str | None) -> str:
    """Present while the multiplier was computed recently enough."""
    return f"{tag(connection)}:due:{tenant}" + ("" if action is None else f":{action}")


def pause(connection: int) -> str:
    """Until when the upstream takes no calls by its own response; see ``pause.lua``."""
    return f"{tag(connection)}:pause"


def retries(connection: int) -> str:
    """Calls that are left in the budget of retries, ten for each; see ``retry.lua``."""
    return f"{tag(connection)}:retries"


def pace(connection: int) -> str:
    """The pace at which the upstream takes calls, learned or set by a person; see ``pace.lua``."""
    return f"{tag(connection)}:pace"


def pace_shares(connection: int) -> str:
    """Hash of who uses how much of a shared pace; see ``look_at_share.lua``. Its units are microseconds of a minute."""
    return f"{pace(connection)}:shares"


def pace_evidence(connection: int) -> str:
    """Hash of that from which the pace is learned; see ``pace.lua``."""
    return f"{tag(connection)}:pace-evidence"


def unassessed(connection: int) -> str:
    """Sorted set of ``<tenant>|<action>`` -> when its multiplier is to be computed; see ``record.lua``."""
    return f"{tag(connection)}:unassessed"


def assessed_by(connection: int) -> str:
    """Hash of ``<tenant>|<action>`` -> by which settings; see ``record.lua``."""
    return f"{tag(connection)}:assessed-by"


def sampled() -> str:
    """Sorted set of the connections whose latencies were sampled lately -> when."""
    return named("q:sampled")


def evidence(connection: int) -> str:
    """Hash of ``<tenant>|<action>`` -> what its multiplier was last computed from; see ``adapt.lua``."""
    return f"{tag(connection)}:evidence"


def cut(connection: int) -> str:
    """Sorted set of ``<tenant>|<action>`` whose multiplier cuts -> when it ends by itself (us); see ``adapt.lua``."""
    return f"{evidence(connection)}:cut"


def multiplier_changes(connection: int) -> str:
    """Stream of changes of multipliers that are not in the database yet."""
    return f"{tag(connection)}:changes"


def taken(name: str) -> str:
    """Where a hash of counts is moved before it is written to the database; the field ``#batch`` names the batch."""
    return f"{name}:taken"


def taken_over(connection: int, name: str) -> str:
    """Present once the store has this part of what a worker decided without it."""
    return f"{tag(connection)}:alone:{name}"


def settled(stream: str) -> str:
    """Hash about one making of a stream: its ``generation``, and how many of its entries are in the database."""
    return f"{stream}:settled"


def running(task: str) -> str:
    """Held while a periodic task runs."""
    return named(f"q:running:{task}")


def token_lock(uid: str) -> str:
    """Held by the one worker that asks an upstream for a new token."""
    return named(f"q:token-lock:{uid}")


def endpoints(uid: str) -> str:
    """Where a connection's token endpoint and API host were last found, as JSON."""
    return named(f"q:endpoints:{uid}")


def health(uid: str) -> str:
    """Why a connection cannot be used, as JSON; absent while it can."""
    return named(f"q:health:{uid}")


def response(connection: int, digest: str) -> str:
    """The first response to a call that may be repeated, sealed; or the claim of the worker that is making it."""
    return f"{tag(connection)}:answer:{digest}"


def queue(name: str) -> str:
    """List of the messages that wait in one of Celery's queues, the oldest last."""
    return named(f"celery:{name}")


def seats(person: int) -> str:
    """Where a person's open live pages are counted."""
    return named(f"dashboard:seats:{person}")
