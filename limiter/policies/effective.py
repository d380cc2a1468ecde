"""The effective policy of a call: a tenant with its rules, and the policies that all tenants share.

Workers decide by it, and pages and alerts read it, so that they show the policy that decides.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field

from limiter.policies.compiled import PolicySpec, PolicyUnavailable
from limiter.policies.plan import EffectivePolicy, OverrideSpec, build_plan
from tenants.directory import TenantSpec

_SHARED_PLANS = 20_000


@dataclass(frozen=True, slots=True)
class TenantRules:
    """A tenant, the policies assigned to it and to its actions (by id), and its overrides that have not ended."""

    tenant: TenantSpec
    policy_id: int | None = None
    action_policy_ids: dict[str, int] = field(default_factory=dict)
    overrides: tuple[OverrideSpec, ...] = ()

    def policy_ids(self) -> set[int]:
        """Every policy assigned here; the default one comes on top."""
        own = set() if self.policy_id is None else {self.policy_id}
        return own | set(self.action_policy_ids.values())


@dataclass(frozen=True, slots=True)
class HeldPolicy:
    """A policy by id, as it stood after change ``seq``; ``spec`` None: it cannot compile and no good one is left."""

    spec: PolicySpec | None
    seq: int
    problem: str = ""


class PolicyShelf:
    """The policies in use by the tenants a worker holds, and the default one. For one thread."""

    def __init__(self) -> None:
        self.held: dict[int, HeldPolicy] = {}
        self.default_id: int | None = None
        self.default_seq: int | None = None
        """None until the default assignment was loaded; loading it may find that there is none."""
        self.generation = 0
        """Rises whenever a plan made earlier may no longer hold."""
        self._uses: Counter[int] = Counter()
        self._plans: dict[tuple[int | None, int | None, int], EffectivePolicy] = {}

    def put(self, policy_id: int, policy: HeldPolicy) -> None:
        before = self.held.get(policy_id)
        self.held[policy_id] = policy
        if before is None or before.spec != policy.spec:
            self._outdate()

    def set_default(self, policy_id: int | None, *, seq: int) -> None:
        """``policy_id`` must be held already."""
        before, self.default_id, self.default_seq = self.default_id, policy_id, seq
        if before != policy_id:
            self.use([] if policy_id is None else [policy_id])
            self.release([] if before is None else [before])
            self._outdate()

    def use(self, policy_ids: Iterable[int]) -> None:
        self._uses.update(policy_ids)

    def release(self, policy_ids: Iterable[int]) -> None:
        """One use less of each; :meth:`sweep` lets go of those that nobody uses any more."""
        self._uses.subtract(policy_ids)

    def sweep(self) -> list[int]:
        """Let go of policies that are not in use; say which."""
        self._uses = +self._uses
        unused = [policy_id for policy_id in self.held if policy_id not in self._uses]
        for policy_id in unused:
            del self.held[policy_id]
        return unused

    def stack(self, *policy_ids: int | None) -> list[PolicySpec]:
        """The default policy and these, broadest first; raises :class:`PolicyUnavailable`."""
        stack = []
        for policy_id in (self.default_id, *policy_ids):
            if policy_id is None:
                continue
            held = self.held.get(policy_id)
            if held is None or held.spec is None:
                raise PolicyUnavailable(policy_id, held.problem if held else "")
            stack.append(held.spec)
        return stack

    def plan(self, rules: TenantRules, *, action_id: str | None, cost: int, now: float) -> EffectivePolicy:
        """The plan for one action, None being one that is not registered. Without overrides tenants share it."""
        ids = rules.policy_id, rules.action_policy_ids.get(action_id) if action_id else None
        if any(override.concerns(action_id) for override in rules.overrides):
            stack = self.stack(*ids)
            return build_plan(stack, cost=cost, action_id=action_id, overrides=rules.overrides, now=now)
        plan = self._plans.get((*ids, cost))
        if plan is None:
            if len(self._plans) >= _SHARED_PLANS:
                self._plans.clear()
            plan = self._plans[(*ids, cost)] = build_plan(self.stack(*ids), cost=cost)
        return plan

    def _outdate(self) -> None:
        self.generation += 1
        self._plans.clear()


class TenantEntry:
    """One tenant as it stood after change ``seq``. Never changed: an edit brings a new entry in its place."""

    __slots__ = ("_generation", "_plans", "_shelf", "rules", "seq", "tenant")

    def __init__(self, rules: TenantRules, *, shelf: PolicyShelf, seq: int) -> None:
        self.rules = rules
        self.tenant = rules.tenant
        self.seq = seq
        self._shelf = shelf
        self._plans: dict[str | None, EffectivePolicy] = {}
        self._generation = shelf.generation

    def plan(self, action_id: str | None, now: float) -> EffectivePolicy:
        """What a call of this action is decided by at ``now`` (epoch seconds); raises :class:`PolicyUnavailable`.

        None stands for every action that is not registered.
        """
        if self._generation != self._shelf.generation:
            self._plans = {}
            self._generation = self._shelf.generation
        plan = self._plans.get(action_id)
        if plan is not None and now < plan.valid_until:
            return plan
        return self._remember(action_id, now)

    def policies(self, action_id: str) -> list[PolicySpec]:
        """The policies a call of this action stands under, broadest first; raises :class:`PolicyUnavailable`."""
        return self._shelf.stack(self.rules.policy_id, self.rules.action_policy_ids.get(action_id))

    def _remember(self, action_id: str | None, now: float) -> EffectivePolicy:
        action = None if action_id is None else self.tenant.actions.get(action_id)
        # Actions that are not registered share one plan: callers choose their names, and must not fill the memory.
        name = None if action is None else action_id
        plan = self._plans.get(name)
        if plan is None or now >= plan.valid_until:
            cost = 1 if action is None else action.cost
            plan = self._plans[name] = self._shelf.plan(self.rules, action_id=name, cost=cost, now=now)
        return plan
