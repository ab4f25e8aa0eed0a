"""SQS at its worst, as lists: messages come late, in any order and more than once, and answers are lost."""

import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from uuid import uuid4

from backend.gateways.errors import QueueUnavailable

MAX_RECEIVES = 5


@dataclass(slots=True)
class Message:
    body: str
    id: str = field(default_factory=lambda: str(uuid4()))
    receives: int = 0


@dataclass(slots=True)
class Queues:
    dice: random.Random
    away: bool = False
    delivered: int = 0  # messages and events, each time one is handed over
    requests: list[Message] = field(default_factory=list)
    dead: list[Message] = field(default_factory=list)
    events: list[Message] = field(default_factory=list)

    def send(self, bodies: Sequence[str]) -> Mapping[int, str]:
        """As the relay's gateway does."""
        if self.away and self.dice.random() < 0.5:
            raise QueueUnavailable("SendMessageBatch")
        refused = {n: "InternalError" for n in range(len(bodies)) if self.away and self.dice.random() < 0.3}
        self.requests += [Message(body) for n, body in enumerate(bodies) if n not in refused]
        if self.away:  # they have arrived, but the answer has not
            raise QueueUnavailable("SendMessageBatch")
        return refused

    def tell(self, body: str) -> None:
        self.events.append(Message(body))

    def some_requests(self) -> list[Message]:
        """A batch for the Lambda, in any order; what was received too often is moved to the dead letters."""
        chosen = self.dice.sample(self.requests, self.dice.randint(0, min(10, len(self.requests))))
        for message in [message for message in chosen if message.receives >= MAX_RECEIVES]:
            chosen.remove(message)
            self.requests.remove(message)
            self.dead.append(message)
        for message in chosen:
            message.receives += 1
        self.delivered += len(chosen)
        return chosen

    def give_up(self) -> None:
        """The Lambda was ended in its midst each time, so that nobody knows whether there are jobs."""
        self.dead += self.requests
        self.requests.clear()

    def some_events(self) -> list[Message]:
        return self.dice.sample(self.events, self.dice.randint(0, min(8, len(self.events))))
