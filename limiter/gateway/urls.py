"""The gateway's routes. Served by the lean handler, not by stock Django."""

from __future__ import annotations

from django.urls import path

from limiter.gateway.caller_views import DecisionView, LimitsView
from limiter.gateway.views import CheckView, InvokeView, PrometheusView, UsageView

urlpatterns = [
    path("invoke/<str:action_id>", InvokeView.as_view()),
    path("check/<str:action_id>", CheckView.as_view()),
    path("decisions/<str:decision_id>", DecisionView.as_view()),
    path("limits", LimitsView.as_view()),
    path("metrics", PrometheusView.as_view()),
    path("metrics/<str:tenant_id>/<str:action_id>", UsageView.as_view()),
]
