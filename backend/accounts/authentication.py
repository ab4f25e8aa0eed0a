"""Programs ask with an API key in the Authorization header; browsers have their session."""

from rest_framework import authentication, exceptions
from rest_framework.request import Request

from backend.accounts import services
from backend.accounts.models import User

_KEYWORDS = ("api-key", "bearer")


class ApiKeyAuthentication(authentication.BaseAuthentication):
    """`Authorization: Api-Key fb_...` (or `Bearer`)."""

    def authenticate(self, request: Request) -> tuple[User, None] | None:
        header = authentication.get_authorization_header(request).decode("latin-1").split()
        if not header or header[0].lower() not in _KEYWORDS:
            return None
        user = services.use_api_key(header[1]) if len(header) == 2 else None
        if user is None:
            raise exceptions.AuthenticationFailed("This API key is not known, or was revoked.")
        return user, None

    def authenticate_header(self, request: Request) -> str:
        return "Api-Key"
