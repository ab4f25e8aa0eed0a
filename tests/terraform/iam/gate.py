"""Holds every boto3 call of a process against the policies of the role that the part has on AWS."""

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import botocore.session

from tests.terraform.iam.policies import Call, Decision, Grant, Principal, Statement, decide

# (service, operation) -> what AWS asks for before it does that; the parameters are those of the call.
Declarations = Mapping[tuple[str, str], Callable[[Mapping[str, Any]], Sequence[Call]]]


class CallRefused(Exception):
    """A call that IAM would deny, or that nobody has declared."""


@dataclass(frozen=True, kw_only=True, slots=True)
class Part:
    """One part of the product and the role it has."""

    name: str
    role_arn: str
    statements: Sequence[Statement]


@dataclass(kw_only=True)
class Gate:
    """While `open`, every call of a client that was made meanwhile is one of the part named by `acting_as`.

    Also those of other threads, which a part starts and ends itself. A refused call raises at once and is also
    kept, since the product may survive it: in the end `refused` must be empty.
    """

    parts: Mapping[str, Part]
    of_resources: Sequence[Statement]
    declarations: Declarations
    used: set[Grant] = field(default_factory=set)
    calls: Counter[tuple[str, str]] = field(default_factory=Counter)  # (part, service:Operation)
    refused: list[str] = field(default_factory=list)
    _acting: str | None = None

    @contextmanager
    def acting_as(self, part: str) -> Iterator[None]:
        """Raises KeyError for a part without a role. What is called outside is the test's own, and not held."""
        before, self._acting = self._acting, self.parts[part].name
        try:
            yield
        finally:
            self._acting = before

    @contextmanager
    def open(self) -> Iterator[None]:
        """Reaches every client of the process, whichever session makes it."""
        create = botocore.session.Session.create_client

        def create_held(session: botocore.session.Session, *args: Any, **kwargs: Any) -> Any:
            client = create(session, *args, **kwargs)
            # Before the parameters are built: so also what is signed for others to send (presigned URLs).
            client.meta.events.register_first("before-parameter-build.*.*", self._on_call)
            return client

        botocore.session.Session.create_client = create_held
        try:
            yield
        finally:
            botocore.session.Session.create_client = create

    def _on_call(self, params: Mapping[str, Any], model: Any, **_: Any) -> None:
        if self._acting is not None:
            self.check(self._acting, model.service_model.service_name, model.name, params)

    def check(self, part: str, service: str, operation: str, params: Mapping[str, Any]) -> None:
        """Raises CallRefused."""
        self.calls[part, f"{service}:{operation}"] += 1
        declared = self.declarations.get((service, operation))
        if declared is None:
            self._refuse(f"{part} calls {service}:{operation}, which is not declared")
        for call in declared(params):
            self.ask(part, call)

    def ask(self, part: str, call: Call) -> None:
        """Raises CallRefused."""
        holder = self.parts[part]
        decision = decide(
            call,
            Principal(role_arn=holder.role_arn),
            of_role=holder.statements,
            of_resource=self.of_resources,
        )
        self.used.update(decision.grants if decision.allowed else ())
        if not decision.allowed:
            self._refuse(f"{part} may not {call.action} on {call.resource}{_denied_by(decision)}")

    def unused(self) -> list[tuple[str, Grant]]:
        """What each part may do and did not."""
        return [
            (part.name, grant)
            for part in self.parts.values()
            for statement in part.statements
            for grant in statement.grants
            if grant not in self.used
        ]

    def _refuse(self, sentence: str) -> None:
        self.refused.append(sentence)
        raise CallRefused(sentence)


def _denied_by(decision: Decision) -> str:
    return "".join(f", denied by {grant.sid} of {grant.policy}" for grant in decision.grants)
