"""Django's settings. Nothing here has an insecure default; what differs between places is in `environment`."""

import os
from pathlib import Path

from django.core.exceptions import ImproperlyConfigured

from backend.config.environment import Environment, EnvironmentInvalid

try:
    environment = Environment.from_environ(os.environ)
except EnvironmentInvalid as exc:
    raise ImproperlyConfigured(str(exc)) from None

BACKEND = Path(__file__).resolve().parent.parent

SECRET_KEY = environment.secret_key
DEBUG = environment.debug
ALLOWED_HOSTS = list(environment.allowed_hosts)
CSRF_TRUSTED_ORIGINS = list(environment.csrf_trusted_origins)

INSTALLED_APPS = [
    "backend.accounts",
    "backend.videos",
    "backend.webhooks",
    "backend.plans",
    "django.contrib.admin",
    "django.contrib.auth",
    "django.contrib.contenttypes",
    "django.contrib.sessions",
    "django.contrib.messages",
    "django.contrib.humanize",
    "django.contrib.staticfiles",
    "rest_framework",
    "drf_spectacular",
    "drf_spectacular_sidecar",
]

MIDDLEWARE = [
    "backend.config.middleware.HealthChecks",
    "django.middleware.security.SecurityMiddleware",
    "backend.config.middleware.ContentSecurityPolicy",
    "backend.config.middleware.RateLimitHeaders",
    "backend.config.middleware.StaticFiles",
    "django.contrib.sessions.middleware.SessionMiddleware",
    "django.middleware.common.CommonMiddleware",
    "django.middleware.csrf.CsrfViewMiddleware",
    "django.contrib.auth.middleware.AuthenticationMiddleware",
    "django.contrib.messages.middleware.MessageMiddleware",
    "django.middleware.clickjacking.XFrameOptionsMiddleware",
    "backend.config.middleware.UnavailableServices",
]

TEMPLATES = [
    {
        "BACKEND": "django.template.backends.django.DjangoTemplates",
        "DIRS": [BACKEND / "templates"],
        "APP_DIRS": True,
        "OPTIONS": {
            "context_processors": [
                "django.template.context_processors.request",
                "django.contrib.auth.context_processors.auth",
                "django.contrib.messages.context_processors.messages",
                "backend.config.pages.source",
                "backend.plans.pages.balance",
            ],
        },
    }
]

ROOT_URLCONF = "backend.config.urls"
ASGI_APPLICATION = "backend.config.asgi.application"
DEFAULT_AUTO_FIELD = "django.db.models.BigAutoField"
APPEND_SLASH = False

# Database. The pool gives a request three seconds to get a connection; after that the answer is 503, not a wait.
# While PostgreSQL is away, the pool must forget failed attempts quickly, or it would not notice the return.
DATABASES = {
    "default": {
        "ENGINE": "backend.config.postgresql",
        **environment.database,
        "OPTIONS": {
            "connect_timeout": 3,
            "tcp_user_timeout": 5000,
            "prepare_threshold": 5,  # with none `backend.config.prepared` could not; Django's own cursors never do
            "options": "-c statement_timeout=15000 -c lock_timeout=5000",
            "pool": {"min_size": 1, "max_size": 20, "timeout": 3, "reconnect_timeout": 3, "max_idle": 300},
            **environment.database["OPTIONS"],
        },
    }
}

# Accounts
AUTH_USER_MODEL = "accounts.User"
LOGIN_URL = "login"
LOGIN_REDIRECT_URL = "home"
LOGOUT_REDIRECT_URL = "login"
SIGN_UP = environment.sign_up
MAIL = environment.mail is not None
EMAIL_TIMEOUT = 10
globals().update(environment.mail or {"EMAIL_BACKEND": "django.core.mail.backends.dummy.EmailBackend"})
AUTH_PASSWORD_VALIDATORS = [
    {"NAME": f"django.contrib.auth.password_validation.{name}"}
    for name in (
        "UserAttributeSimilarityValidator",
        "MinimumLengthValidator",
        "CommonPasswordValidator",
        "NumericPasswordValidator",
    )
]

# Transport. One variable, HTTPS, decides.
SESSION_COOKIE_SECURE = CSRF_COOKIE_SECURE = SECURE_SSL_REDIRECT = environment.https
SECURE_HSTS_SECONDS = 365 * 24 * 3600 if environment.https else 0
# HSTS speaks for this host only; what lies below it is not ours to decide.
SILENCED_SYSTEM_CHECKS = ["security.W005", "security.W021"]
SECURE_REFERRER_POLICY = "same-origin"
X_FRAME_OPTIONS = "DENY"
SESSION_COOKIE_SAMESITE = CSRF_COOKIE_SAMESITE = "Lax"
CSRF_FAILURE_VIEW = "backend.config.errors.csrf_failure"

SOURCE_URL = environment.source_url

# Media and messages
MEDIA_BUCKET = environment.media_bucket
MEDIA_ORIGIN = environment.media_origin
REQUESTS_QUEUE_URL = environment.requests_queue_url
DEAD_REQUESTS_QUEUE_URL = environment.dead_requests_queue_url
JOB_EVENTS_QUEUE_URL = environment.job_events_queue_url
RUNTIME_MANIFEST = environment.runtime_manifest
SLOWEST_MACHINE = environment.slowest_machine
WORKER_HEARTBEAT = environment.worker_heartbeat
KEEP_ANALYSES_DAYS = environment.keep_analyses_days
KEEP_VIDEOS_DAYS = environment.keep_videos_days
KEEP_RECORDS_DAYS = environment.keep_records_days
PROBE_MEMORY_MIB = environment.probe_memory_mib
WEBHOOK_PORTS = environment.webhook_ports
WEBHOOKS_ALLOW_LOOPBACK = environment.webhooks_allow_loopback
UPLOAD_URL_SECONDS = 3600
UPLOAD_KEPT_HOURS = 24  # after the last URL was handed out
DOWNLOAD_URL_SECONDS = 3600

# Static files: collected and fingerprinted where STATIC_ROOT is given, else served from the source tree.
STATIC_URL = "/static/"
STATICFILES_DIRS = [BACKEND / "static"]
STATIC_ROOT = environment.static_root
WHITENOISE_USE_FINDERS = environment.static_root is None
STORAGES = {
    "default": {"BACKEND": "django.core.files.storage.InMemoryStorage"},  # uploads never pass through Django
    "staticfiles": {
        "BACKEND": "whitenoise.storage.CompressedManifestStaticFilesStorage"
        if environment.static_root
        else "django.contrib.staticfiles.storage.StaticFilesStorage"
    },
}

# API
REST_FRAMEWORK = {
    "DEFAULT_AUTHENTICATION_CLASSES": [
        "backend.accounts.authentication.ApiKeyAuthentication",
        "backend.accounts.authentication.SessionAuthentication",
    ],
    "DEFAULT_PERMISSION_CLASSES": ["backend.accounts.permissions.StatedScope"],
    "DEFAULT_RENDERER_CLASSES": ["rest_framework.renderers.JSONRenderer"],
    "DEFAULT_PARSER_CLASSES": ["backend.config.parsers.JSONParser"],
    "EXCEPTION_HANDLER": "backend.videos.problems.exception_handler",
    "UNAUTHENTICATED_USER": None,
    "DEFAULT_THROTTLE_CLASSES": ["backend.accounts.throttling.PlanThrottle"],
    "URL_FORMAT_OVERRIDE": None,
    "DEFAULT_METADATA_CLASS": None,
    "DEFAULT_SCHEMA_CLASS": "backend.config.openapi.AutoSchema",
}
SPECTACULAR_SETTINGS = {
    "TITLE": "Framebatch",
    "DESCRIPTION": "Upload a video, get detections and tracks.",
    "VERSION": "0.1.0",
    "OAS_VERSION": "3.1.0",
    "LICENSE": {"name": "AGPL-3.0-or-later", "identifier": "AGPL-3.0-or-later"},
    "POSTPROCESSING_HOOKS": ["backend.config.openapi_problems.complete"],
    "ENUM_GENERATE_CHOICE_DESCRIPTION": False,
}

# Language and time
LANGUAGE_CODE = "en"
USE_I18N = False
USE_TZ = True
TIME_ZONE = "UTC"

LOGGING = {
    "version": 1,
    "disable_existing_loggers": False,
    "formatters": {"event": {"()": "backend.config.logs.EventFormatter"}},
    "handlers": {"stderr": {"class": "logging.StreamHandler", "formatter": "event"}},
    "root": {"handlers": ["stderr"], "level": environment.log_level},
    "loggers": {
        # Django would repeat every 4xx answer here; the server's access log has them.
        "django.request": {"level": "ERROR"},
        "botocore": {"level": "WARNING"},
        "psycopg.pool": {"level": "ERROR"},
    },
}
