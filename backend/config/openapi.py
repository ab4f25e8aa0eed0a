"""The API's description (OpenAPI 3.1), made from what `documented` says of each endpoint.

For a new endpoint:

1. Put `documented` on each method of the view, or on the view where it has one method only. The docstring of what
   it stands on becomes the description; write it for the API's users.
2. `scope` is what an API key needs for it; an endpoint that states none is refused to everybody.
3. `body` is the view's input serializer with an example, `answers` what comes back where nothing is wrong. Shapes
   of answers are serializers in `schemas.py` of the app, each with an example in `examples.py`. `query` is the
   StrictQuery that reads the parameters of the URL; `parameters` are headers.
4. `refusals` are the RequestRefused classes that this endpoint can raise. What any endpoint may answer (401, 403,
   406, 429, 500, 503), and what follows from an id in its path (404), from query parameters (400) and from a body
   (400, 413, 415), is added by itself.
5. Run `make openapi`, which writes docs/openapi.yaml, and commit it; after a conflict in that file, run it again.

tests/backend/test_openapi.py says what is missing.
"""

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, TypeVar

from drf_spectacular.extensions import OpenApiAuthenticationExtension
from drf_spectacular.openapi import AutoSchema as SpectacularAutoSchema
from drf_spectacular.utils import OpenApiExample, OpenApiParameter, OpenApiRequest, OpenApiResponse
from rest_framework import serializers
from rest_framework.permissions import SAFE_METHODS

from backend.accounts.permissions import endpoint_of
from backend.accounts.scopes import Scope
from backend.config import problem_codes
from backend.config.openapi_problems import problem_response
from backend.config.serializers import StrictQuery, StrictSerializer
from backend.videos.errors import RequestRefused

JSON = "application/json"
_Documented = TypeVar("_Documented", bound=Callable[..., Any])


@dataclass(frozen=True, kw_only=True, slots=True)
class Answer:
    """What comes back where nothing is wrong. Without a schema there is no body."""

    description: str
    schema: Any = None
    example: Any = None
    media_types: Sequence[str] = (JSON,)
    headers: Mapping[str, str] = field(default_factory=dict)  # name -> what it says


@dataclass(frozen=True, kw_only=True, slots=True)
class Endpoint:
    operation_id: str
    summary: str
    description: str
    tag: str
    scope: Scope | None  # what an API key needs; None: it is for signed-in browsers only
    answers: Mapping[int, Answer]
    body: type[serializers.Serializer] | None = None
    body_example: Any = None
    query: type[StrictQuery] | None = None
    parameters: tuple[OpenApiParameter, ...] = ()
    refusals: tuple[type[RequestRefused], ...] = ()


def documented(operation_id: str, **said: Any) -> Callable[[_Documented], _Documented]:
    """Says of a view, or of a method of one, what `Endpoint` holds; the docstring is the description."""

    def decorate(view: _Documented) -> _Documented:
        description = inspect.cleandoc(view.__doc__ or "")
        view.endpoint = Endpoint(operation_id=operation_id, description=description, **said)
        return view

    return decorate


def page_of(row: type[serializers.Serializer]) -> type[serializers.Serializer]:
    """The shape of one page of a list."""
    fields = {
        "results": row(many=True),
        "next": serializers.CharField(allow_null=True, help_text="Path and query of the next page."),
    }
    return type(f"{row.__name__}Page", (serializers.Serializer,), fields)


class AutoSchema(SpectacularAutoSchema):
    """REST framework's hook: describes one operation."""

    @property
    def endpoint(self) -> Endpoint:
        said = endpoint_of(self.view, self.method)
        if said is None:
            where = f"{type(self.view).__module__}.{type(self.view).__qualname__}.{self.method.lower()}"
            raise NotDocumented(
                f"{self.method} {self.path} is not described: decorate {where} with `documented`, "
                "as backend/config/openapi.py explains."
            )
        return said

    def get_operation_id(self) -> str:
        return self.endpoint.operation_id

    def get_summary(self) -> str:
        return self.endpoint.summary

    def get_description(self) -> str:
        return self.endpoint.description

    def get_tags(self) -> list[str]:
        return [self.endpoint.tag]

    def get_override_parameters(self) -> list[Any]:
        headers = [
            OpenApiParameter(name, str, OpenApiParameter.HEADER, description=says, response=[status])
            for status, answer in self.endpoint.answers.items()
            for name, says in answer.headers.items()
        ]
        query = [self.endpoint.query] if self.endpoint.query and self.endpoint.query().fields else []
        return [*query, *self.endpoint.parameters, *headers]

    def get_request_serializer(self) -> Any:
        endpoint = self.endpoint
        if endpoint.body is None:
            return None
        examples = [OpenApiExample("request", value=endpoint.body_example)] if endpoint.body_example else []
        return {JSON: OpenApiRequest(endpoint.body, examples=examples)}

    def get_response_serializers(self) -> dict[tuple[Any, ...], OpenApiResponse]:
        return {
            (status, *answer.media_types): OpenApiResponse(
                answer.schema,
                description=answer.description,
                examples=[OpenApiExample("answer", value=answer.example)] if answer.example is not None else [],
            )
            for status, answer in self.endpoint.answers.items()
        }

    def get_serializer_name(self, serializer: serializers.Serializer, direction: str) -> str:
        """`VideoList.Input` is VideoListInput: many views have an Input."""
        return type(serializer).__qualname__.replace(".", "")

    def _map_basic_serializer(self, serializer: serializers.Serializer, direction: str) -> Any:
        schema = super()._map_basic_serializer(serializer, direction)
        if not type(serializer).__doc__:
            schema.pop("description", None)  # it would be that of a base class
        # An answer may get new fields, which clients have to ignore; a request is refused for one nobody knows.
        return {**schema, "additionalProperties": False} if isinstance(serializer, StrictSerializer) else schema

    def _is_list_view(self, serializer: Any = None) -> bool:
        return False  # pages say themselves what they hold

    def _get_response_bodies(self, direction: str = "response") -> dict[str, Any]:
        return {**super()._get_response_bodies(direction), **self._problems()}

    def _problems(self) -> dict[str, Any]:
        endpoint = self.endpoint
        codes = problem_codes.of_any_endpoint(
            scoped=endpoint.scope is not None,
            changing=self.method not in SAFE_METHODS,
            with_id="{" in self.path,
            with_query=endpoint.query is not None,
            with_body=endpoint.body is not None,
        )
        for refusal in endpoint.refusals:
            codes.setdefault(refusal.status, {})[refusal.code] = refusal.sentence
        return {str(status): problem_response(status, codes[status]) for status in sorted(codes)}


class NotDocumented(Exception):
    """An endpoint lacks its description."""


class ApiKeyScheme(OpenApiAuthenticationExtension):
    target_class = "backend.accounts.authentication.ApiKeyAuthentication"
    name = "ApiKey"

    def get_security_requirement(self, auto_schema: Any) -> dict[str, list[str]] | None:
        scope = auto_schema.endpoint.scope
        return None if scope is None else {self.name: [scope.value]}

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "fb_<prefix>_<secret>",
            "description": "An API key of yours. `Authorization: Api-Key fb_...` is understood as well.",
        }


class SessionScheme(OpenApiAuthenticationExtension):
    target_class = "backend.accounts.authentication.SessionAuthentication"
    name = "Session"

    def get_security_definition(self, auto_schema: Any) -> dict[str, str]:
        return {
            "type": "apiKey",
            "in": "cookie",
            "name": "sessionid",
            "description": "A signed-in browser. What changes something needs the header `X-CSRFToken` as well.",
        }
