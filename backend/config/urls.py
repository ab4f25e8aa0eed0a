from django.contrib import admin
from django.contrib.auth import views as auth
from django.urls import URLPattern, URLResolver, path

from backend.accounts import apis as accounts_api
from backend.accounts import pages as accounts_pages
from backend.config import api_docs
from backend.live import apis as live_api
from backend.plans import apis as plans_api
from backend.plans import pages as plans_pages
from backend.videos import apis, export_apis, pages, result_apis, upload_apis, video_apis
from backend.webhooks import apis as webhooks_api
from backend.webhooks import delivery_apis
from backend.webhooks import pages as webhooks_pages

API: list[URLPattern] = [
    path("api/videos", video_apis.VideoList.as_view(), name="api-videos"),
    path("api/videos/<uuid:video_id>", video_apis.VideoDetail.as_view(), name="api-video"),
    path("api/videos/<uuid:video_id>/sign", upload_apis.VideoSign.as_view(), name="api-video-sign"),
    path("api/videos/<uuid:video_id>/parts", upload_apis.VideoParts.as_view(), name="api-video-parts"),
    path("api/videos/<uuid:video_id>/finish", upload_apis.VideoFinish.as_view(), name="api-video-finish"),
    path("api/videos/<uuid:video_id>/abort", upload_apis.VideoAbort.as_view(), name="api-video-abort"),
    path("api/analyses", apis.AnalysisList.as_view(), name="api-analyses"),
    path("api/analyses/live", live_api.AnalysesLive.as_view(), name="api-analyses-live"),
    path("api/analyses/<uuid:analysis_id>", apis.AnalysisDetail.as_view(), name="api-analysis"),
    path("api/analyses/<uuid:analysis_id>/live", live_api.AnalysisLive.as_view(), name="api-analysis-live"),
    path("api/analyses/<uuid:analysis_id>/cancel", apis.AnalysisCancel.as_view(), name="api-analysis-cancel"),
    path("api/analyses/<uuid:analysis_id>/retry", apis.AnalysisRetry.as_view(), name="api-analysis-retry"),
    path(
        "api/analyses/<uuid:analysis_id>/detections",
        result_apis.DetectionList.as_view(),
        name="api-analysis-detections",
    ),
    path("api/analyses/<uuid:analysis_id>/tracks", result_apis.TrackList.as_view(), name="api-analysis-tracks"),
    path("api/analyses/<uuid:analysis_id>/seconds", result_apis.SecondList.as_view(), name="api-analysis-seconds"),
    path("api/analyses/<uuid:analysis_id>/events", result_apis.EventList.as_view(), name="api-analysis-events"),
    path(
        "api/analyses/<uuid:analysis_id>/thumbnails",
        result_apis.ThumbnailList.as_view(),
        name="api-analysis-thumbnails",
    ),
    path(
        "api/analyses/<uuid:analysis_id>/exports/<str:export_format>",
        export_apis.AnalysisExport.as_view(),
        name="api-analysis-export",
    ),
    path("api/analyses/<uuid:analysis_id>/media", result_apis.MediaDetail.as_view(), name="api-analysis-media"),
    path(
        "api/analyses/<uuid:analysis_id>/receipt",
        plans_api.AnalysisReceipt.as_view(),
        name="api-analysis-receipt",
    ),
    path("api/quotes", plans_api.QuoteList.as_view(), name="api-quotes"),
    path("api/account", plans_api.AccountDetail.as_view(), name="api-account"),
    path("api/account/ledger", plans_api.LedgerList.as_view(), name="api-account-ledger"),
    path("api/webhooks", webhooks_api.WebhookList.as_view(), name="api-webhooks"),
    path("api/webhooks/<uuid:webhook_id>", webhooks_api.WebhookDetail.as_view(), name="api-webhook"),
    path(
        "api/webhooks/<uuid:webhook_id>/rotate-secret",
        webhooks_api.WebhookSecret.as_view(),
        name="api-webhook-rotate-secret",
    ),
    path("api/webhooks/<uuid:webhook_id>/ping", delivery_apis.WebhookPing.as_view(), name="api-webhook-ping"),
    path(
        "api/webhooks/<uuid:webhook_id>/deliveries",
        delivery_apis.DeliveryList.as_view(),
        name="api-webhook-deliveries",
    ),
    path(
        "api/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>",
        delivery_apis.DeliveryDetail.as_view(),
        name="api-webhook-delivery",
    ),
    path(
        "api/webhooks/<uuid:webhook_id>/deliveries/<uuid:delivery_id>/replay",
        delivery_apis.DeliveryReplay.as_view(),
        name="api-webhook-delivery-replay",
    ),
    path("api/models", apis.ModelList.as_view(), name="api-models"),
    path("api/api-keys", accounts_api.ApiKeyList.as_view(), name="api-api-keys"),
    path("api/api-keys/<int:api_key_id>", accounts_api.ApiKeyDetail.as_view(), name="api-api-key"),
]

PAGES: list[URLPattern] = [
    path("", pages.home, name="home"),
    path("videos/<uuid:video_id>", pages.video, name="video"),
    path("analyses/<uuid:analysis_id>", pages.analysis, name="analysis"),
    path("sign-up", accounts_pages.sign_up, name="sign-up"),
    path("login", accounts_pages.SignIn.as_view(), name="login"),
    path("logout", auth.LogoutView.as_view(), name="logout"),
    path("password", accounts_pages.PasswordChange.as_view(), name="password-change"),
    path("password/forgotten", accounts_pages.PasswordForgotten.as_view(), name="password-forgotten"),
    path("password/new/<str:uidb64>/<str:token>", accounts_pages.PasswordNew.as_view(), name="password-new"),
    path("account", plans_pages.account, name="account"),
    path("api-keys", accounts_pages.api_keys, name="api-keys"),
    path("api-keys/<int:api_key_id>/revoke", accounts_pages.revoke_api_key, name="api-key-revoke"),
    path("webhooks", webhooks_pages.webhooks, name="webhooks"),
    path("webhooks/<uuid:webhook_id>", webhooks_pages.webhook, name="webhook"),
    path("webhooks/<uuid:webhook_id>/change", webhooks_pages.change_webhook, name="webhook-change"),
    path(
        "webhooks/<uuid:webhook_id>/rotate-secret",
        webhooks_pages.rotate_webhook_secret,
        name="webhook-rotate-secret",
    ),
]

urlpatterns: list[URLPattern | URLResolver] = [
    *API,
    *PAGES,
    path("api/schema", api_docs.schema, name="api-schema"),
    path("api/docs", api_docs.swagger_ui, name="api-docs"),
    path("admin/", admin.site.urls),
]

handler400 = "backend.config.errors.bad_request"
handler403 = "backend.config.errors.permission_denied"
handler404 = "backend.config.errors.not_found"
handler500 = "backend.config.errors.server_error"
