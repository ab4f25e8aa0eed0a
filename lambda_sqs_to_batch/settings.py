"""The function's environment, read once per container."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Self

from contract.messages import AnalysisRequest
from contract.plans import Plan
from lambda_sqs_to_batch.errors import SettingsInvalid


@dataclass(frozen=True, kw_only=True, slots=True)
class Settings:
    """Queues by name or ARN. Those for Enterprise shall have a higher priority than their neighbours."""

    job_queue: str
    job_definition: str  # name, name:revision or ARN
    job_events_queue_url: str
    enterprise_queue: str
    on_demand_queue: str
    on_demand_enterprise_queue: str

    @classmethod
    def from_environ(cls, environ: Mapping[str, str]) -> Self:
        """JOB_QUEUE_ENTERPRISE and JOB_QUEUE_ON_DEMAND are JOB_QUEUE where they are not given, and
        JOB_QUEUE_ON_DEMAND_ENTERPRISE is JOB_QUEUE_ON_DEMAND.

        Raises SettingsInvalid, naming every missing variable at once.
        """
        required = ("JOB_QUEUE", "JOB_DEFINITION", "JOB_EVENTS_QUEUE_URL")
        missing = [name for name in required if not environ.get(name)]
        if missing:
            raise SettingsInvalid(f"missing from the environment: {', '.join(missing)}")
        job_queue = environ["JOB_QUEUE"]
        on_demand_queue = environ.get("JOB_QUEUE_ON_DEMAND") or job_queue
        return cls(
            job_queue=job_queue,
            job_definition=environ["JOB_DEFINITION"],
            job_events_queue_url=environ["JOB_EVENTS_QUEUE_URL"],
            enterprise_queue=environ.get("JOB_QUEUE_ENTERPRISE") or job_queue,
            on_demand_queue=on_demand_queue,
            on_demand_enterprise_queue=environ.get("JOB_QUEUE_ON_DEMAND_ENTERPRISE") or on_demand_queue,
        )

    def queue_for(self, request: AnalysisRequest) -> str:
        """The same for every delivery of a message, since its job is looked for there."""
        goes_first = request.plan is Plan.ENTERPRISE
        if request.on_demand:
            return self.on_demand_enterprise_queue if goes_first else self.on_demand_queue
        return self.enterprise_queue if goes_first else self.job_queue
