"""Which operations of AWS the product's source names, so that none of them is left out of the journeys."""

import ast
from collections.abc import Iterator
from pathlib import Path

import botocore.session
from botocore import xform_name

REPOSITORY = Path(__file__).resolve().parents[3]
DEPLOYED = ("backend", "batch_job", "lambda_sqs_to_batch")


def operations_named() -> dict[str, set[str]]:
    """Operation, as botocore names it -> the files that name it, as a method of a client or in quotes."""
    trees = {
        path.relative_to(REPOSITORY).as_posix(): ast.parse(path.read_text(encoding="utf-8"))
        for package in DEPLOYED
        for path in sorted((REPOSITORY / package).rglob("*.py"))
    }
    using = {path: tree for path, tree in trees.items() if _uses_botocore(tree)}
    services = {service for tree in trees.values() for service in _clients(tree)}
    known = dict(_methods(services))
    named: dict[str, set[str]] = {}
    for path, tree in using.items():
        for node in ast.walk(tree):
            word = node.attr if isinstance(node, ast.Attribute) else getattr(node, "value", None)
            if isinstance(word, str) and word in known:
                named.setdefault(known[word], set()).add(path)
    return named


def _clients(tree: ast.Module) -> Iterator[str]:
    """The services for which a client is made."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or not node.args:
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", None)
        service = node.args[0]
        if name == "client" and isinstance(service, ast.Constant):
            yield str(service.value)


def _methods(services: set[str]) -> Iterator[tuple[str, str]]:
    """Name of a client's method, and of the operation behind it."""
    session = botocore.session.get_session()
    for service in services:
        for operation in session.get_service_model(service).operation_names:
            yield xform_name(operation), operation


def _uses_botocore(tree: ast.Module) -> bool:
    for node in ast.walk(tree):
        names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
        if isinstance(node, ast.ImportFrom):
            names = [node.module or ""]
        if any(name.partition(".")[0] in ("boto3", "botocore") for name in names):
            return True
    return False
