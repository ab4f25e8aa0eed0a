"""Decides as IAM would: an explicit denial wins, and what no statement allows is denied.

Rules: "Policy evaluation logic" and "IAM JSON policy elements" of the IAM user guide. Known is what our policies
use; anything else is refused in a sentence, so that nothing is granted by being overlooked.
"""

import json
import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

Document = Mapping[str, Any]


class PolicyNotUnderstood(Exception):
    """A policy uses something that this evaluator does not know."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Call:
    """One authorisation that AWS asks for: an action on one resource, with what conditions may look at."""

    action: str  # service:Name
    resource: str  # ARN, or * for actions that know no resource
    context: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True, slots=True)
class Grant:
    """The smallest thing that could be taken out of a policy: one action on one resource of one statement."""

    policy: str  # where it stands, as Terraform names it
    sid: str
    action: str
    resource: str


@dataclass(frozen=True, kw_only=True, slots=True)
class Statement:
    policy: str
    sid: str
    allows: bool
    actions: tuple[str, ...]
    resources: tuple[str, ...]
    principals: (
        Mapping[str, tuple[str, ...]] | None
    )  # None in a role's policy; kind -> identifiers in a resource's
    conditions: Mapping[str, Mapping[str, tuple[str, ...]]]  # operator -> key -> values

    @property
    def grants(self) -> Iterable[Grant]:
        """Of a statement that allows; nothing of one that denies."""
        if self.allows:
            for action in self.actions:
                for resource in self.resources:
                    yield Grant(policy=self.policy, sid=self.sid, action=action, resource=resource)

    def matching(self, call: Call, principal: "Principal") -> list[Grant]:
        """What of the statement applies to the call, whether it allows or denies."""
        if self.principals is not None and not principal.is_named_by(self.principals):
            return []
        if not all(
            _holds(operator, key, values, call.context)
            for operator, keys in self.conditions.items()
            for key, values in keys.items()
        ):
            return []
        return [
            Grant(policy=self.policy, sid=self.sid, action=action, resource=resource)
            for action in self.actions
            if _matches_action(action, call.action)
            for resource in self.resources
            if _matches_arn(resource, call.resource)
        ]


@dataclass(frozen=True, kw_only=True, slots=True)
class Principal:
    """Who calls: a role of ours by its ARN, or a service of AWS by its name."""

    role_arn: str | None = None
    service: str | None = None

    def is_named_by(self, principals: Mapping[str, tuple[str, ...]]) -> bool:
        if "*" in principals.get("*", ()) or "*" in principals.get("AWS", ()):
            return True
        if self.service is not None:
            return self.service in principals.get("Service", ())
        return self.role_arn in principals.get("AWS", ())


@dataclass(frozen=True, kw_only=True, slots=True)
class Decision:
    allowed: bool
    grants: tuple[Grant, ...]  # that allow it, or that deny it; none where nothing speaks of it


def decide(
    call: Call, principal: Principal, *, of_role: Sequence[Statement], of_resource: Sequence[Statement] = ()
) -> Decision:
    """Within one account either side may allow; a service has no policies of its own."""
    found = [(statement, statement.matching(call, principal)) for statement in (*of_role, *of_resource)]
    denying = [grant for statement, grants in found if not statement.allows for grant in grants]
    if denying:
        return Decision(allowed=False, grants=tuple(denying))
    allowing = [grant for statement, grants in found if statement.allows for grant in grants]
    return Decision(allowed=bool(allowing), grants=tuple(allowing))


def statements_of(policy: str, document: str | Document) -> tuple[Statement, ...]:
    """Raises PolicyNotUnderstood for elements, operators and resource patterns that are not known here."""
    parsed: Document = json.loads(document) if isinstance(document, str) else document
    return tuple(
        _statement(policy, number, statement) for number, statement in enumerate(_listed(parsed["Statement"]))
    )


def _statement(policy: str, number: int, raw: Document) -> Statement:
    where = f"{policy}, statement {raw.get('Sid') or number}"
    unknown = set(raw) - {"Sid", "Effect", "Action", "Resource", "Principal", "Condition"}
    if unknown:
        raise PolicyNotUnderstood(f"{where}: {', '.join(sorted(unknown))}")
    resources = tuple(_listed(raw["Resource"]))
    for resource in resources:
        if resource != "*" and (len(resource.split(":", 5)) != 6 or "${" in resource):
            raise PolicyNotUnderstood(f"{where}: the resource {resource}")
    conditions = {
        operator: {key: tuple(_listed(values)) for key, values in keys.items()}
        for operator, keys in raw.get("Condition", {}).items()
    }
    for operator, keys in conditions.items():
        if operator.removesuffix("IfExists") not in _OPERATORS:
            raise PolicyNotUnderstood(f"{where}: the operator {operator}")
        if any("${" in value for values in keys.values() for value in values):
            raise PolicyNotUnderstood(f"{where}: a variable in a condition")
    principal = raw.get("Principal")
    if isinstance(principal, str):
        principal = {"*": principal}
    return Statement(
        policy=policy,
        sid=raw.get("Sid") or str(number),
        allows={"Allow": True, "Deny": False}[raw["Effect"]],
        actions=tuple(_listed(raw["Action"])),
        resources=resources,
        principals=None if principal is None else {kind: tuple(_listed(who)) for kind, who in principal.items()},
        conditions=conditions,
    )


def _listed(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _matches_action(pattern: str, action: str) -> bool:
    return _glob(pattern.lower()).fullmatch(action.lower()) is not None


def _matches_arn(pattern: str, resource: str) -> bool:
    """A wildcard stays within its part of the ARN; the last part is all that follows the fifth colon."""
    if pattern == "*":
        return True
    if resource == "*":  # an action that knows no resource is granted by * alone
        return False
    theirs, ours = pattern.split(":", 5), resource.split(":", 5)
    if len(theirs) != 6 or len(ours) != 6:
        raise PolicyNotUnderstood(f"{pattern} against {resource}: not an ARN")
    return all(_glob(one).fullmatch(other) is not None for one, other in zip(theirs, ours, strict=True))


def _matches_text(pattern: str, value: str) -> bool:
    return _glob(pattern).fullmatch(value) is not None


@cache
def _glob(pattern: str) -> re.Pattern[str]:
    """`*` is any text, `?` any character; nothing else is special, unlike in a shell."""
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(letter) or re.escape(letter) for letter in pattern), re.DOTALL)


# Operator -> (does one wanted value fit, does the condition hold where none does).
_OPERATORS = {
    "StringEquals": (str.__eq__, False),
    "StringNotEquals": (str.__eq__, True),
    "StringLike": (_matches_text, False),
    "StringNotLike": (_matches_text, True),
    "ArnEquals": (_matches_arn, False),
    "ArnLike": (_matches_arn, False),
    "Bool": (lambda wanted, value: wanted.lower() == value.lower(), False),
}


def _holds(operator: str, key: str, values: Sequence[str], context: Mapping[str, str]) -> bool:
    """A key that the request does not carry fits nothing, and `IfExists` forgives it."""
    fits, negated = _OPERATORS[operator.removesuffix("IfExists")]
    value = {name.lower(): text for name, text in context.items()}.get(key.lower())
    if value is None:
        return negated or operator.endswith("IfExists")
    return any(fits(wanted, value) for wanted in values) != negated
