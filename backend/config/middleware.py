from collections.abc import Callable

from django.conf import settings
from django.http import HttpRequest, HttpResponse
from whitenoise.middleware import WhiteNoiseMiddleware
from whitenoise.responders import StaticFile

from backend.config.errors import service_unavailable
from backend.config.health import CHECKS
from backend.gateways.errors import StorageUnavailable
from backend.videos.wiring import media_bucket

GetResponse = Callable[[HttpRequest], HttpResponse]


class HealthChecks:
    """Answered before all else: a load balancer asks by the address of the task, which is no allowed host."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        check = CHECKS.get(request.path_info)
        return check(request) if check else self._get_response(request)


class ContentSecurityPolicy:
    """Only our own files, and the media bucket for uploads, pictures and videos; nothing inline."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if response.get("Content-Type", "").startswith("text/html"):
            response.headers.setdefault("Content-Security-Policy", _policy())
        return response


class RateLimitHeaders:
    """Tells clients of the API how much they may still ask."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        response = self._get_response(request)
        if limit := getattr(request, "rate_limit", None):
            for name, value in limit.headers().items():
                response[name] = value
        return response


class StaticFiles(WhiteNoiseMiddleware):
    """Sends each file, all of them small, in one piece: what `config.brief` answers is whole, and elsewhere Django
    warns of ordinary streams.
    """

    @staticmethod
    def serve(static_file: StaticFile, request: HttpRequest) -> HttpResponse:
        found = static_file.get_response(request.method, request.META)
        body = b""
        if found.file is not None:
            with found.file as file:
                body = file.read()
        return HttpResponse(body, status=int(found.status), headers=dict(found.headers))


class UnavailableServices:
    """A view that finds PostgreSQL, S3 or SQS away is answered with 503, never 500."""

    def __init__(self, get_response: GetResponse) -> None:
        self._get_response = get_response

    def __call__(self, request: HttpRequest) -> HttpResponse:
        return self._get_response(request)

    def process_exception(self, request: HttpRequest, exception: Exception) -> HttpResponse | None:
        return service_unavailable(request, exception)


def _policy() -> str:
    media = _media_origin()
    return "; ".join(
        [
            "default-src 'self'",
            f"connect-src 'self'{media}",
            f"img-src 'self' data:{media}",
            f"media-src 'self'{media}",
            "object-src 'none'",
            "base-uri 'none'",
            "form-action 'self'",
            "frame-ancestors 'none'",
        ]
    )


def _media_origin() -> str:
    if settings.MEDIA_ORIGIN:
        return f" {settings.MEDIA_ORIGIN}"
    try:
        return f" {media_bucket().origin}"
    except StorageUnavailable:  # no credentials: there are no presigned URLs either
        return ""
