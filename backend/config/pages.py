from django.conf import settings
from django.http import HttpRequest


def source(request: HttpRequest) -> dict[str, str | None]:
    """For the footer of every page."""
    return {"source_url": settings.SOURCE_URL}
