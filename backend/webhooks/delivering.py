"""What is owed to receivers is sent at least once, each delivery until one takes it or a day has passed."""

import asyncio
import logging
import time
from functools import partial

from django.conf import settings

from backend.config.threads import in_thread
from backend.videos.problems import DATABASE_AWAY
from backend.webhooks.claiming import Claim, claim, message_of
from backend.webhooks.recording import record
from backend.webhooks.sending import Outcome, send
from backend.webhooks.signing import headers

logger = logging.getLogger(__name__)

AT_A_TIME = 32
LOOK_AGAIN_SECONDS = 1.0  # for what became due while requests are under way
OUR_FAULT = "The request could not be made. The fault is ours, and it is logged."


class Sender:
    """A step of the worker that keeps requests under way until the next, so that a slow one holds up no other."""

    def __init__(self) -> None:
        self._runner = asyncio.Runner()
        self._under_way: set[asyncio.Task[None]] = set()

    def __call__(self) -> int:
        """Begins what is due and waits a second at most for something to end.

        How many requests have ended or are under way; 0: nothing is due. Raises Django's database errors.
        """
        return self._runner.run(self._step())

    def close(self) -> None:
        """Requests under way are broken off; they come again when their leases end."""
        self._runner.close()

    async def _step(self) -> int:
        room = AT_A_TIME - len(self._under_way)
        try:
            claimed = await in_thread(partial(claim, room)) if room else []
        except Exception:
            # The loop pauses now, and nothing moves meanwhile: an answer would come and not be read in time.
            if self._under_way:
                await asyncio.wait(self._under_way)
                self._under_way = set()
            raise
        self._under_way |= {asyncio.create_task(_deliver(one)) for one in claimed}
        if not self._under_way:
            return 0
        finished, self._under_way = await asyncio.wait(
            self._under_way, timeout=LOOK_AGAIN_SECONDS, return_when=asyncio.FIRST_COMPLETED
        )
        return len(finished) + len(self._under_way)


async def _deliver(claimed: Claim) -> None:
    """Raises nothing: whatever is wrong with one delivery concerns no other."""
    try:
        outcome = await _attempt(claimed)
        if outcome is not None:
            await in_thread(partial(record, claimed, outcome))
    except DATABASE_AWAY as exc:
        extra = {"delivery_id": claimed.delivery_id, "cause": str(exc)}
        logger.warning("webhook comes again, the database did not store what came of it", extra=extra)
    except Exception:
        extra = {"delivery_id": claimed.delivery_id}
        logger.exception("webhook comes again, what came of it could not be stored", extra=extra)


async def _attempt(claimed: Claim) -> Outcome | None:
    """None where nobody is to be told any more."""
    try:
        message = await in_thread(partial(message_of, claimed))
        if message is None:
            return None
        signed = headers(
            message.secrets, message_id=message.message_id, timestamp=int(time.time()), body=message.body
        )
        return await send(
            message.url,
            headers={**signed, "Content-Type": "application/json", "User-Agent": "Framebatch-Webhooks/1"},
            body=message.body,
            allow_loopback=settings.WEBHOOKS_ALLOW_LOOPBACK,
        )
    except Exception:  # a broken row, say; it is postponed like what a receiver does not take
        logger.exception("webhook could not be made", extra={"delivery_id": claimed.delivery_id})
        return Outcome(status=None, error=OUR_FAULT, milliseconds=0, ours=True)
