"""One log line for each analysis that failed by no fault of what was asked for."""

import logging
from uuid import UUID

from contract.errors import OF_THE_REQUEST, ErrorCode

logger = logging.getLogger(__name__)


def tell_of_failure(*, analysis_id: UUID, code: ErrorCode) -> None:
    """For the one who closes it: an array is closed once, and what goes On-Demand has not failed."""
    if code not in OF_THE_REQUEST:
        identities = {"analysis_id": analysis_id, "code": code.value}
        logger.warning("analysis failed by no fault of its video", extra=identities)  # for terraform's alarm
