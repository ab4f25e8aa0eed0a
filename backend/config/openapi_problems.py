"""What is the same in all of the API's description: the shape of problems, and the headers of answers."""

from collections.abc import Iterable, Mapping
from typing import Any

from backend.videos.problems import CONTENT_TYPE, document

_HEADERS = {
    "RateLimit": {
        "description": "How many requests of this kind are left (r) and in how many seconds there are more (t).",
        "schema": {"type": "string"},
        "example": '"reads";r=598;t=42',
    },
    "RateLimit-Policy": {
        "description": "How many requests of this kind your plan allows (q) in so many seconds (w).",
        "schema": {"type": "string"},
        "example": '"reads";q=600;w=60',
    },
    "Retry-After": {
        "description": "Seconds after which to ask again.",
        "schema": {"type": "integer", "minimum": 0},
    },
}


def complete(result: dict[str, Any], **_: Any) -> dict[str, Any]:
    """Spectacular's hook: the shape of problems, with every code, and the answers that endpoints share."""
    uses: dict[str, list[tuple[dict[str, Any], str]]] = {}
    known: set[str] = set()
    for operation in operations(result):
        for status, answer in operation["responses"].items():
            if headers := _headers(status):
                answer.setdefault("headers", {}).update(headers)
            if examples := answer.get("content", {}).get(CONTENT_TYPE, {}).get("examples"):
                known.update(examples)
                uses.setdefault(_name(examples), []).append((operation["responses"], status))
    components = result.setdefault("components", {})
    components["responses"] = {}
    components["headers"] = _HEADERS
    for name in sorted(name for name, places in uses.items() if len(places) > 1):
        for responses, status in uses[name]:
            components["responses"][name] = responses[status]
            responses[status] = {"$ref": f"#/components/responses/{name}"}
    _without_marks(result)
    components["schemas"]["Problem"] = _problem_schema(known)
    components["schemas"] = dict(sorted(components["schemas"].items()))
    return result


def _without_marks(node: Any) -> None:
    """Spectacular marks what one of its own hooks, which is not used, would look for."""
    for inner in node.values() if isinstance(node, dict) else node if isinstance(node, list) else ():
        _without_marks(inner)
    if isinstance(node, dict):
        node.pop("x-spec-enum-id", None)


def operations(description: Mapping[str, Any]) -> Iterable[dict[str, Any]]:
    """Every operation of an OpenAPI document."""
    for methods in description["paths"].values():
        yield from methods.values()


def problem_response(status: int, codes: Mapping[str, str]) -> dict[str, Any]:
    listed = " or ".join(f"`{code}`" for code in sorted(codes))
    examples = {code: {"value": document(status, code=code, detail=codes[code])} for code in sorted(codes)}
    return {
        "description": f"A problem with the code {listed}.",
        "content": {CONTENT_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}, "examples": examples}},
    }


def _headers(status: str) -> dict[str, Any]:
    names = {"429": list(_HEADERS), "503": ["Retry-After"]}.get(status, [])
    if status < "300":
        names = ["RateLimit", "RateLimit-Policy"]
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _name(codes: Iterable[str]) -> str:
    """`not_found` and `video_not_found` are NotFoundOrVideoNotFound."""
    return "Or".join(code.title().replace("_", "") for code in codes)


def _problem_schema(codes: Iterable[str]) -> dict[str, Any]:
    return {
        "type": "object",
        "description": "Why a request was refused: problem details after RFC 9457.",
        "required": ["type", "title", "status", "detail", "code", "errors"],
        "properties": {
            "type": {"type": "string", "format": "uri", "description": "A name for the kind of problem."},
            "title": {"type": "string", "description": "The code in words."},
            "status": {"type": "integer", "description": "The HTTP status."},
            "detail": {"type": "string", "description": "What is wrong, for people; it may be reworded."},
            "code": {
                "type": "string",
                "enum": sorted(codes),
                "description": "What is wrong, for programs; it never changes its meaning.",
            },
            "errors": {
                "type": "object",
                "description": "Sentences by the name of each faulty field; a nested field is written with dots.",
                "additionalProperties": {"type": "array", "items": {"type": "string"}},
            },
        },
    }
