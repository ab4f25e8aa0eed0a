from rest_framework import authentication, permissions
from rest_framework.request import Request
from rest_framework.views import APIView


class SignedInBrowser(permissions.IsAuthenticated):
    """API keys must not make or revoke API keys: a leaked one could otherwise outlive its revocation."""

    message = "API keys are managed in a signed-in browser session, not with an API key."

    def has_permission(self, request: Request, view: APIView) -> bool:
        by_session = isinstance(request.successful_authenticator, authentication.SessionAuthentication)
        return by_session and super().has_permission(request, view)
