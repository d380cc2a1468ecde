"""App configuration."""

from django.apps import AppConfig
from django.conf import settings
from django.utils.translation import gettext_lazy as _

from limiter.stores import prefix


class LimiterConfig(AppConfig):
    name = "limiter"
    verbose_name = _("Quotas")
    default_auto_field = "django.db.models.BigAutoField"

    def ready(self) -> None:
        from django.core.checks import register
        from django.utils.translation import gettext, ngettext

        from limiter.alerts.feature import FEATURE as ALERTS
        from limiter.core import amounts
        from limiter.demand import peaks
        from limiter.demand.feature import FEATURE as DEMAND
        from limiter.gateway.feature import FEATURE as GATEWAY
        from limiter.incidents.feature import FEATURE as INCIDENTS
        from limiter.policies import cuts
        from limiter.policies.feature import FEATURE as POLICIES
        from limiter.record import edits, formats
        from limiter.record.feature import FEATURE as RECORD
        from limiter.reports.feature import FEATURE as REPORTS
        from limiter.upstream.feature import FEATURE as UPSTREAM
        from quota_platform.base import features, languages

        register(formats.check, "models")
        amounts.SPEECH.gettext, amounts.SPEECH.ngettext, amounts.SPEECH.number = gettext, ngettext, languages.number
        prefix.use(settings.KEY_PREFIX)
        cuts.RECORD.read, cuts.RECORD.units = peaks.last_day, peaks.units_of_last_day
        for feature in (POLICIES, RECORD, DEMAND, ALERTS, INCIDENTS, REPORTS, UPSTREAM, GATEWAY):
            features.install(feature)
        edits.connect()
