"""The dashboard's addresses."""

from __future__ import annotations

from django.urls import path
from django.views.generic import RedirectView

from dashboard import actions, polling, reset, revocation, team, views, zones

app_name = "dashboard"
urlpatterns = [
    path("", views.overview, name="overview"),
    path("tenants/", views.tenants, name="tenants"),
    path("tenants/<str:tenant_id>/", views.tenant, name="tenant"),
    path("refusals/", views.refusals, name="refusals"),
    path("incidents/", views.incidents, name="incidents"),
    path("incidents/<int:incident_id>/", views.incident, name="incident"),
    path("connections/", views.connections, name="connections"),
    path("connections/<int:connection>/", views.connection, name="connection"),
    path("connections/<int:connection>/limits/", views.connection),
    path("connections/<int:connection>/limits/<str:limit>/", views.pool, name="pool"),
    path("api/connections/<int:connection>/limits/<str:limit>.json", polling.pool, name="pool-json"),
    path("exports/", views.exports, name="exports"),
    path("api/overview.json", polling.overview, name="overview-json"),
    path("api/tenants/<str:tenant_id>.json", polling.tenant, name="tenant-json"),
    path("api/actions/overrides/", actions.start, name="override-start"),
    path("api/actions/overrides/<int:override_id>/end/", actions.end, name="override-end"),
    path("api/actions/keys/", revocation.revoke, name="key-revoke"),
    path("api/actions/team/", team.act, name="team-act"),
    path("incidents/<int:incident_id>.pdf", views.incident_pdf, name="incident-pdf"),
    path("incidents/<int:incident_id>/entries/", team.enter, name="incident-enter"),
    path("api/actions/counters/", reset.reset, name="counter-reset"),
    path("zone/", zones.keep, name="zone"),
    # Bookmarks of the first release.
    path("sign-in/", RedirectView.as_view(pattern_name="account_login", query_string=True), name="sign-in"),
]
