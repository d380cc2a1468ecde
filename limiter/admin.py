"""The limiter's pages in the admin, for Django to find; the features hold them."""

import limiter.alerts.admin
import limiter.gateway.admin
import limiter.policies.admin
import limiter.record.admin
import limiter.reports.admin
import limiter.upstream.admin  # noqa: F401
