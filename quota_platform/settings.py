"""Django settings, derived from :mod:`quota_platform.env`; nothing is read from the environment here."""

from __future__ import annotations

import tomllib
from pathlib import Path
from typing import Any

import django_stubs_ext

from limiter.stores.servers import Servers as _Servers
from quota_platform import broker as _broker
from quota_platform import env as _env
from quota_platform import languages as _languages
from quota_platform import redis_settings as _redis
from quota_platform import unfold as _unfold
from quota_platform.accounts import oidc_settings as _oidc
from quota_platform.accounts import saml_settings as _saml
from quota_platform.database_settings import database as _database

django_stubs_ext.monkeypatch()

ENV = _env.load()
BASE_DIR = Path(__file__).resolve().parent.parent
VERSION: str = tomllib.loads((BASE_DIR / "pyproject.toml").read_text())["project"]["version"]

SECRET_KEY = ENV.SECRET_KEY.get_secret_value()
SECRETS_KEYS = [key for key in ENV.SECRETS_KEYS.get_secret_value().split(",") if key]
DEBUG = ENV.DEBUG
ALLOWED_HOSTS = ENV.ALLOWED_HOSTS
CSRF_TRUSTED_ORIGINS = ENV.CSRF_TRUSTED_ORIGINS

INSTALLED_APPS = [
    "unfold",
    "unfold.contrib.filters",
    "unfold.contrib.forms",
    "unfold.contrib.inlines",
    "unfold.contrib.simple_history",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.staticfiles",
    "django.contrib.humanize",
    "allauth",
    "allauth.account",
    "allauth.mfa",
    "allauth.socialaccount",
    "allauth.socialaccount.providers.openid_connect",
    "allauth.socialaccount.providers.saml",
    "axes",
    "simple_history",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
    "channels",
    "tenants",
    "limiter",
    "dashboard",
    "quota_platform",
    "rest_framework.authtoken",  # the first release's tokens, which a migration hashed; its command is the tenants' now
]

MIDDLEWARE = [
    "django.middleware.security.SecurityMiddleware",
    "quota_platform.static_files.CurrentStaticFiles",
    "quota_platform.csp.content_security_policy",
    "quota_platform.nul.RefuseNul",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "quota_platform.languages.page_language",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "simple_history.middleware.HistoryRequestMiddleware",
    "allauth.account.middleware.AccountMiddleware",
    "axes.middleware.AxesMiddleware",
    "quota_platform.accounts.gate.Gate",
]

# Signing in (docs/accounts.md). allauth has the pages and their steps; its own limits are off, because django-axes
# pauses repeated failures (quota_platform/accounts/attempts.py), and that works while the cache is unavailable.
ACCOUNT_ADAPTER = "quota_platform.accounts.adapters.AccountAdapter"
ACCOUNT_FORMS = {"login": "quota_platform.accounts.forms.SignInForm"}
MFA_ADAPTER = "quota_platform.accounts.adapters.FactorAdapter"
MFA_FORMS = {
    "authenticate": "quota_platform.accounts.forms.CodeForm",
    "reauthenticate": "quota_platform.accounts.forms.CodeAgainForm",
    "add_webauthn": "quota_platform.accounts.forms.AddKeyForm",
    "edit_webauthn": "quota_platform.accounts.forms.RenameKeyForm",
}
MFA_SUPPORTED_TYPES = ["totp", "webauthn", "recovery_codes"]
MFA_TOTP_ISSUER = "Quota"
MFA_TOTP_TOLERANCE = 1
MFA_RATE_LIMITS = False
MFA_ALLOW_UNVERIFIED_EMAIL = True  # addresses are entered by administrators
PASSWORD_RESET_TIMEOUT = ENV.ACCOUNT_LINK_HOURS * 3600
SOCIALACCOUNT_ADAPTER = "quota_platform.accounts.identity_provider.SocialAdapter"
SOCIALACCOUNT_PROVIDERS: dict[str, Any] = {**_oidc.providers(ENV), **_saml.providers(ENV)}
SOCIALACCOUNT_EMAIL_VERIFICATION = "none"
SOCIALACCOUNT_LOGIN_ON_GET = True  # the provider asks; a form could not lead to it under our content security policy
ACCOUNT_LOGIN_METHODS = {"username"}
ACCOUNT_SIGNUP_FIELDS = ["username*", "password1*"]
ACCOUNT_EMAIL_VERIFICATION = "none"
ACCOUNT_UNIQUE_EMAIL = False
ACCOUNT_RATE_LIMITS = False
ACCOUNT_SESSION_REMEMBER = True
AUTHENTICATION_BACKENDS = ["axes.backends.AxesStandaloneBackend", "django.contrib.auth.backends.ModelBackend"]
AXES_HANDLER = "quota_platform.accounts.attempts.Attempts"
AXES_CLIENT_IP_CALLABLE = "quota_platform.accounts.attempts.address_of"
AXES_LOCKOUT_CALLABLE = "quota_platform.accounts.attempts.paused"
AXES_RESET_COOL_OFF_ON_FAILURE_DURING_LOCKOUT = False
AXES_ENABLE_ADMIN = False
AXES_VERBOSE = False

ROOT_URLCONF = "quota_platform.urls"
ASGI_APPLICATION = "quota_platform.asgi.application"
TEMPLATES: list[dict[str, Any]] = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        # Ours come before those that unfold brings; a feature holds its own.
        "DIRS": [
            BASE_DIR / "quota_platform/templates",
            BASE_DIR / "quota_platform/accounts/templates",
            *sorted(BASE_DIR.glob("limiter/*/templates")),
        ],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.template.context_processors.i18n",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
            ],
            "libraries": {"documents": "quota_platform.base.admin.members", "kept": "quota_platform.base.kept"},
        },
    }
]

DATABASES = {"default": _database(ENV.DATABASE_URL, ENV.database_certificates, var=ENV.VAR_DIR)}
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"

_servers = _Servers.of(ENV.REDIS_URL, ENV.redis_certificates)
REDIS_URL = _servers.url
# What redis-py's clients of it are made with, beside the URL.
REDIS_OPTIONS = _servers.options()
REDIS_ASYNC_OPTIONS = _servers.async_options()
KEY_PREFIX = ENV.REDIS_KEY_PREFIX and f"{ENV.REDIS_KEY_PREFIX}:"
CACHES = _redis.caches(REDIS_URL, REDIS_OPTIONS, prefix=KEY_PREFIX)
CHANNEL_LAYERS = _redis.channel_layers(REDIS_URL, REDIS_ASYNC_OPTIONS, prefix=KEY_PREFIX)

CELERY_BROKER_URL = REDIS_URL
CELERY_BROKER_TRANSPORT = _broker.NAME
CELERY_TASK_IGNORE_RESULT = True
# A task is acknowledged when it is done, so that one whose worker was killed is delivered again; and a task that is
# still running when the broker's patience ends would be delivered twice, so the hard limit lies well below it.
CELERY_TASK_ACKS_LATE = True
CELERY_TASK_REJECT_ON_WORKER_LOST = True
CELERY_TASK_SOFT_TIME_LIMIT = 540
CELERY_TASK_TIME_LIMIT = 600
CELERY_BROKER_TRANSPORT_OPTIONS = _redis.broker_options(REDIS_OPTIONS, prefix=KEY_PREFIX)
CELERY_WORKER_PREFETCH_MULTIPLIER = 1
CELERY_WORKER_CANCEL_LONG_RUNNING_TASKS_ON_CONNECTION_LOSS = True
CELERY_BROKER_CONNECTION_RETRY_ON_STARTUP = True
CELERY_BROKER_CONNECTION_MAX_RETRIES = None
# Any other reply of the store: log it and connect again.
CELERY_BROKER_CHANNEL_ERROR_RETRY = True
# Nobody asks workers anything; and it subscribes by patterns, which a user confined to a key prefix may not.
CELERY_WORKER_ENABLE_REMOTE_CONTROL = False
CELERY_TASK_PUBLISH_RETRY_POLICY = {"max_retries": 1, "interval_start": 0.2}
CELERY_BEAT_SCHEDULER = "quota_platform.clock:BeatScheduler"
CELERY_TIMEZONE = "UTC"

REST_FRAMEWORK = {
    # Token first: its challenge makes "not signed in" a 401, where the session's would make it a 403.
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "tenants.api.token_authentication.ApiTokenAuthentication",
        "rest_framework.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["rest_framework.permissions.IsAdminUser"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["quota_platform.base.api.parser.BoundedJSONParser"],
    "DEFAULT_SCHEMA_CLASS": "drf_spectacular.openapi.AutoSchema",
    "EXCEPTION_HANDLER": "quota_platform.problems.response",
    "URL_FORMAT_OVERRIDE": None,
    "TEST_REQUEST_DEFAULT_FORMAT": "json",
}
SPECTACULAR_SETTINGS = {
    "ENUM_NAME_OVERRIDES": {
        "ContactKindEnum": "limiter.alerts.kinds.registry.choices",
        "ExportKindEnum": "limiter.reports.models.Export.Kind",
        "TeamEntryKindEnum": "limiter.incidents.models.TeamEntry.Kind",
    },
    "TITLE": "Quota platform",
    "DESCRIPTION": "Callers use the gateway with an API key. People and programs that manage it use /api/ with a"
    " session or a token, under Django's model permissions. Errors are problem documents (RFC 9457).",
    "VERSION": VERSION,
    "SERVE_INCLUDE_SCHEMA": False,
    "SCHEMA_PATH_PREFIX": "/api",
    "COMPONENT_SPLIT_REQUEST": True,
    "ENFORCE_NON_BLANK_FIELDS": True,
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
    "SWAGGER_UI_DIST": "SIDECAR",
    "SWAGGER_UI_FAVICON_HREF": "SIDECAR",
    "SWAGGER_UI_SETTINGS": {"deepLinking": True, "persistAuthorization": False, "validatorUrl": None},
    "POSTPROCESSING_HOOKS": [
        "drf_spectacular.hooks.postprocess_schema_enums",
        "quota_platform.openapi.management_routes",
        "quota_platform.openapi.gateway_routes",
    ],
}

# A reason is bounded where it is entered (quota_platform.base.reason), not cut off where it is kept.
SIMPLE_HISTORY_HISTORY_CHANGE_REASON_USE_TEXT_FIELD = True

AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in ("UserAttributeSimilarityValidator", "MinimumLengthValidator", "CommonPasswordValidator")
]
LOGIN_URL = "account_login"
LOGIN_REDIRECT_URL = "dashboard:overview"
UNFOLD = _unfold.UNFOLD
LANGUAGE_CODE = "en"
LOCALE_PATHS = [BASE_DIR / "locale"]
LANGUAGES = _languages.found(BASE_DIR / "locale")
LANGUAGE_COOKIE_SAMESITE = "Lax"
LANGUAGE_COOKIE_AGE = 365 * 86_400
TIME_ZONE = "UTC"
USE_TZ = True
FORMAT_MODULE_PATH = "quota_platform.formats"
STATIC_URL = "static/"
# WhiteNoise finds files in the apps by itself and warns about a directory that is not there, so that `collectstatic`
# needs the directory to be made first.
STATIC_ROOT = BASE_DIR / "staticfiles" if (BASE_DIR / "staticfiles").is_dir() else None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.FileSystemStorage"},
    "staticfiles": {"BACKEND": "django.contrib.staticfiles.storage.StaticFilesStorage"},
}
WHITENOISE_USE_FINDERS = True

# The server has bounded a body before Django sees it, so that Django needs no file to put it in.
DATA_UPLOAD_MAX_MEMORY_SIZE = FILE_UPLOAD_MAX_MEMORY_SIZE = ENV.MAX_PAGE_BODY_BYTES

SESSION_COOKIE_SAMESITE = "Lax"
# The longest that a session can last; quota_platform/accounts/sessions.py ends each when its time is over.
SESSION_COOKIE_AGE = max(ENV.SESSION_HOURS * 3_600, ENV.WALLBOARD_DAYS * 86_400)
SECURE_CONTENT_TYPE_NOSNIFF = True
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
CSRF_FAILURE_VIEW = "quota_platform.problems.form_expired"
if ENV.BEHIND_TLS:
    SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = LANGUAGE_COOKIE_SECURE = True
    SECURE_SSL_REDIRECT = True  # quota_platform.asgi reads X-Forwarded-Proto, from TRUSTED_PROXIES alone
    SECURE_HSTS_SECONDS = 31_536_000

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"text": {"format": "%(asctime)s %(levelname)s %(name)s: %(message)s"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "text"}},
    "root": {"handlers": ["stderr"], "level": ENV.LOG_LEVEL},
    "loggers": {
        "django.request": {"level": "ERROR"},
        # A traceback a second while the store is unavailable, which is logged elsewhere.
        "channels_redis.pubsub": {"level": "CRITICAL"},
    },
}
