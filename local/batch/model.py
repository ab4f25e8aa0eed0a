"""botocore's own model of the AWS Batch API: which operation a request means, and the form of its body."""

from dataclasses import dataclass
from functools import cache
from typing import Any

from botocore.loaders import Loader
from botocore.model import ListShape, MapShape, ServiceModel, Shape, StringShape, StructureShape
from botocore.validate import ParamValidator

from local.batch.errors import ClientException, UnknownOperation

# "The values aren't case sensitive." (EvaluateOnExit, AWS Batch API reference)
_CASELESS_ENUMS = frozenset({"RetryAction"})


@dataclass(frozen=True, slots=True)
class Operation:
    name: str
    input_shape: StructureShape


@cache
def _service_model() -> ServiceModel:
    return ServiceModel(Loader().load_service_model("batch", "service-2"), "batch")


@cache
def _operations() -> dict[tuple[str, str], Operation]:
    model = _service_model()
    found = {}
    for name in model.operation_names:
        operation = model.operation_model(name)
        if operation.input_shape is not None:
            http = operation.http
            found[http["method"], http["requestUri"]] = Operation(name, operation.input_shape)
    return found


def operation_at(method: str, path: str) -> Operation:
    """Raises UnknownOperation."""
    operation = _operations().get((method, path))
    if operation is None and path.startswith("/v1/tags/"):
        operation = _operations()[method, "/v1/tags/{resourceArn}"]
    if operation is None:
        raise UnknownOperation(f"Unable to determine service/operation name to be authorized: {method} {path}")
    return operation


def check_form(operation: Operation, parameters: Any) -> None:
    """Types, required and unknown members by botocore's validator; enumerations besides, which it leaves to AWS.

    Raises ClientException naming every fault.
    """
    if not isinstance(parameters, dict):
        raise ClientException("Error executing request, Exception : the body is not a JSON object.")
    report = ParamValidator().validate(parameters, operation.input_shape)
    faults = [report.generate_report()] if report.has_errors() else []
    if not faults:
        faults = _enum_faults(operation.input_shape, parameters, "")
    if faults:
        raise ClientException("Error executing request, Exception : " + "; ".join(faults))


def _enum_faults(shape: Shape, value: Any, path: str) -> list[str]:
    if isinstance(shape, StructureShape):
        members = ((shape.members[name], value[name], f"{path}.{name}") for name in value)
        return [fault for member in members for fault in _enum_faults(*member)]
    if isinstance(shape, ListShape):
        items = ((shape.member, item, f"{path}[{index}]") for index, item in enumerate(value))
        return [fault for item in items for fault in _enum_faults(*item)]
    if isinstance(shape, MapShape):
        pairs = ((shape.value, item, f"{path}.{key}") for key, item in value.items())
        return [fault for pair in pairs for fault in _enum_faults(*pair)]
    if isinstance(shape, StringShape) and shape.enum:
        given = value.upper() if shape.name in _CASELESS_ENUMS else value
        if given not in shape.enum:
            return [f"{path.lstrip('.')} must be one of {', '.join(shape.enum)}, not {value!r}"]
    return []
