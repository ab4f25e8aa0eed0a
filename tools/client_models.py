"""Writes client/models.py, the types of the client, from the description of the API. Run by `make openapi`."""

import keyword
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

PATH = Path(__file__).resolve().parent.parent / "client" / "models.py"
_HEADER = '''"""What the API takes and answers; written by `make openapi` from its description."""

from typing import Any, Literal, NotRequired, TypedDict
'''
_PLAIN = {"string": "str", "integer": "int", "number": "float", "boolean": "bool", "null": "None"}
_REFERENCE = "#/components/schemas/"


def models_of(description: Mapping[str, Any]) -> str:
    """The source of a Python module with a TypedDict for each shape but those of pages and problems."""
    schemas = description["components"]["schemas"]
    shapes = sorted(
        name for name in schemas if name != "Problem" and not name.endswith("Page") and "Input" not in name
    )
    return _HEADER + "".join(_definition(name, schemas[name]) for name in shapes)


def _definition(name: str, schema: Mapping[str, Any]) -> str:
    fields = list(_fields(schema))
    if any(keyword.iskeyword(field) for field, _ in fields):
        listed = "".join(f'        "{field}": {kind},\n' for field, kind in fields)
        return f'\n\n{name} = TypedDict(\n    "{name}",\n    {{\n{listed}    }},\n)\n'
    listed = "".join(f"    {field}: {kind}\n" for field, kind in fields)
    return f"\n\nclass {name}(TypedDict):\n{listed}"


def _fields(schema: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    required = schema.get("required", ())
    for name, inner in schema["properties"].items():
        kind = _type(inner)
        yield name, kind if name in required else f"NotRequired[{kind}]"


def _type(schema: Mapping[str, Any]) -> str:
    if "$ref" in schema:
        return f'"{schema["$ref"].removeprefix(_REFERENCE)}"'
    for several in ("oneOf", "anyOf"):
        if several in schema:
            return _union([_type(inner) for inner in schema[several]])
    if "allOf" in schema:
        return _type(schema["allOf"][0])
    if "enum" in schema:
        return f"Literal[{', '.join(repr(value) for value in schema['enum'])}]".replace("'", '"')
    kinds = schema.get("type", "object")
    return _union([_one(kind, schema) for kind in ([kinds] if isinstance(kinds, str) else kinds)])


def _one(kind: str, schema: Mapping[str, Any]) -> str:
    if kind == "array":
        return f"list[{_type(schema.get('items', {}))}]"
    if kind == "object":
        inner = schema.get("additionalProperties")
        return f"dict[str, {_type(inner) if inner else 'Any'}]"
    return _PLAIN[kind]


def _union(kinds: list[str]) -> str:
    # A reference in quotes cannot be joined with | when the module is read.
    joined = " | ".join(kind.strip('"') for kind in kinds)
    return f'"{joined}"' if any(kind.startswith('"') for kind in kinds) else joined
