"""One rule for every view: what `documented` states, and nothing where it states nothing."""

import logging
from typing import Any

from rest_framework import exceptions, permissions

from backend.accounts.models import ApiKey

logger = logging.getLogger(__name__)


class BrowserOnly(exceptions.PermissionDenied):
    # A leaked key could otherwise outlive its revocation, in a key that it made.
    default_detail = "API keys are managed in a signed-in browser session, not with an API key."
    default_code = "browser_only"


class ScopeMissing(exceptions.PermissionDenied):
    default_code = "scope_missing"

    def __init__(self, scope: str) -> None:
        super().__init__(f"This API key lacks the scope {scope}.")


class StatedScope(permissions.IsAuthenticated):
    """A signed-in browser may do what its user may; an API key needs the scope of the endpoint."""

    def has_permission(self, request: Any, view: Any) -> bool:
        """Raises BrowserOnly, ScopeMissing."""
        if not super().has_permission(request, view):
            return False
        method = "GET" if request.method == "HEAD" else request.method
        if method == "OPTIONS" or not hasattr(view, method.lower()):
            return True  # it is answered with 405
        endpoint = endpoint_of(view, method)
        if endpoint is None:
            logger.error("view without a stated scope", extra={"view": type(view).__qualname__, "method": method})
            return False
        if not isinstance(request.auth, ApiKey):
            return True
        if endpoint.scope is None:
            raise BrowserOnly
        if not opens(request.auth, endpoint):
            raise ScopeMissing(endpoint.scope)
        return True


def opens(key: ApiKey, endpoint: Any) -> bool:
    """Whether the key has the endpoint's scope; never where a browser alone may ask."""
    return endpoint.scope in key.scopes


def endpoint_of(view: Any, method: str) -> Any:
    """What `backend.config.openapi.documented` says of a view's method; None where it says nothing."""
    handler = getattr(view, method.lower(), None)
    return getattr(handler, "endpoint", None) or getattr(view, "endpoint", None)
