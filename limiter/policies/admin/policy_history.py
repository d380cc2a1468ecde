"""A policy's earlier versions in the admin: how each differs from the one before, and putting one back."""

from __future__ import annotations

import dataclasses
from itertools import pairwise
from typing import Any

from django.contrib import messages
from django.core.exceptions import PermissionDenied, ValidationError
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.template.response import TemplateResponse
from django.urls import reverse
from django.utils.translation import gettext as _

from limiter.policies import cuts, sentences
from limiter.policies.admin import asking
from limiter.policies.models import QuotaPolicy
from limiter.policies.versions import (
    PolicyVersion,
    limit_differences,
    limits_by_version,
    policy_differences,
    restore,
    version_of,
)
from quota_platform.base.kept import in_words, kept_text
from quota_platform.base.reason import MAX_REASON, ReasonRefused
from quota_platform.base.reason import check as check_reason

PUT_BACK = kept_text("Put version {version} back as version {now}.")


class PolicyHistoryPages:
    """The history pages of a policy speak of versions, and a version is the policy together with its limits."""

    history_list_display = ("version",)

    def set_history_delta_changes(self, request: HttpRequest, historical_records: Any, **options: Any) -> None:
        """What each version says differently from the one before, limits included."""
        records = list(historical_records)
        if not records:
            return
        lines = limits_by_version(records[0].id, [record.version for record in records])
        for record, earlier in pairwise(records):
            record.history_delta_changes = [
                dataclasses.asdict(change)
                for change in policy_differences(earlier.instance, record.instance)
                + limit_differences(lines[earlier.version], lines[record.version])
            ]

    def history_form_view(
        self: Any, request: HttpRequest, object_id: str, version_id: str, extra_context: Any = None
    ) -> HttpResponse:
        """One earlier version in full; POST puts it back in force as a new version."""
        self._refuse_bad_id(object_id)
        self._refuse_bad_id(version_id)
        self._refuse_unseen(request, object_id)
        if not self.has_view_history_or_change_history_permission(request):
            raise PermissionDenied
        record = QuotaPolicy.history.filter(id=object_id, history_id=version_id).first()
        then = version_of(int(object_id), record.version) if record else None
        if then is None:
            raise Http404(_("There is no such version."))
        if request.method == "POST":
            with self.whole(request):
                restored: HttpResponse = self._restore(request, int(object_id), then)
            return restored
        context = self._context(request, int(object_id), then)
        return TemplateResponse(request, "limiter/policy_version.html", context)

    def _context(self: Any, request: HttpRequest, policy_id: int, then: PolicyVersion) -> dict[str, Any]:
        current = QuotaPolicy.objects.filter(pk=policy_id).first()
        may_restore = self.has_change_permission(request, current) and (
            current is None or current.version != then.version
        )
        return {
            **self.admin_site.each_context(request),
            "title": _("{policy}, version {version}").format(policy=then.policy.name, version=then.version),
            "reason": in_words(then.reason),
            "opts": self.opts,
            "then": then,
            "sentences": sentences.policy(then.policy, then.limits),
            "current": current,
            "original": current,
            "changes": policy_differences(current, then.policy) + limit_differences(current.limits.all(), then.limits)
            if current
            else [],
            "may_restore": may_restore,
            "hits": _hits(current, then, request.user) if current and may_restore else [],
            "max_reason": MAX_REASON,
            "row_mark": self.row_mark([current] if current else []),
            "history_url": reverse("admin:limiter_quotapolicy_history", args=[policy_id]),
        }

    def _restore(self: Any, request: HttpRequest, policy_id: int, then: PolicyVersion) -> HttpResponse:
        current = QuotaPolicy.objects.locked(policy_id)
        if not self.has_change_permission(request, current):
            raise PermissionDenied
        if not self.is_seen(request, [current] if current else []):
            return HttpResponseRedirect(request.path)
        try:
            reason = check_reason(request.POST.get("change_reason", ""))
            policy = restore(policy_id, version=then.version, reason=reason)
        except (ValidationError, ReasonRefused) as error:
            wrong = " ".join(error.messages) if isinstance(error, ValidationError) else str(error)
            said = _("Version {version} cannot be put back: {wrong}").format(version=then.version, wrong=wrong)
            self.message_user(request, said, messages.ERROR)
            return HttpResponseRedirect(request.path)
        self.log_change(request, policy, PUT_BACK.format(version=then.version, now=policy.version))
        said = _("{policy} has the limits of version {version} again; this is version {now}.").format(
            policy=policy.name, version=then.version, now=policy.version
        )
        self.message_user(request, said, messages.SUCCESS)
        return HttpResponseRedirect(reverse("admin:limiter_quotapolicy_change", args=[policy.pk]))


def _hits(current: QuotaPolicy, then: PolicyVersion, user: Any) -> list[str]:
    hits = [hit for of in cuts.hits(current, then.limits).values() for hit in of]
    return asking.sentences(hits, user)
