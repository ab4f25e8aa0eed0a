"""What a compute environment can hold: vCPUs up to maxvCpus, memory and GPUs as its instance types bring them."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

# Both sentences stand in "Jobs stuck in a RUNNABLE status" of the AWS Batch user guide.
TOO_MANY_VCPUS = (
    "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE - CE(s) associated with the job queue cannot meet the CPU "
    "requirements of the job."
)
NO_FITTING_INSTANCE = (
    "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT - The job resource requirement (vCPU/memory/GPU) is higher than "
    "that can be met by the CE(s) attached to the job queue."
)


@dataclass(frozen=True, slots=True)
class Resources:
    vcpus: float = 0.0
    memory_mib: int = 0
    gpus: int = 0

    def __add__(self, other: "Resources") -> "Resources":
        return Resources(self.vcpus + other.vcpus, self.memory_mib + other.memory_mib, self.gpus + other.gpus)

    def fits_in(self, room: "Resources") -> bool:
        return self.vcpus <= room.vcpus and self.memory_mib <= room.memory_mib and self.gpus <= room.gpus


# vCPUs, MiB and GPUs of the sizes this product may use, from the EC2 instance type pages. A type that is not here
# is taken as large enough for every job, so that only maxvCpus limits it.
_INSTANCE_TYPES = {
    "c5.large": Resources(2, 4_096),
    "c5.xlarge": Resources(4, 8_192),
    "c6i.large": Resources(2, 4_096),
    "c6i.xlarge": Resources(4, 8_192),
    "m5.large": Resources(2, 8_192),
    "m5.xlarge": Resources(4, 16_384),
    "g4dn.xlarge": Resources(4, 16_384, 1),
    "g4dn.2xlarge": Resources(8, 32_768, 1),
    "g4dn.12xlarge": Resources(48, 196_608, 4),
    "g5.xlarge": Resources(4, 16_384, 1),
    "g5.2xlarge": Resources(8, 32_768, 1),
    "g5.12xlarge": Resources(48, 196_608, 4),
    "g6.xlarge": Resources(4, 16_384, 1),
    "g6.2xlarge": Resources(8, 32_768, 1),
}
_FAMILIES_WITH_GPUS = ("g", "p")
_BOUNDLESS = 1 << 40


@dataclass(frozen=True, slots=True)
class Capacity:
    """The whole room of a compute environment and the largest single machine in it."""

    total: Resources
    largest: Resources

    @classmethod
    def of(cls, compute_resources: Mapping[str, Any]) -> "Capacity":
        max_vcpus = int(compute_resources["maxvCpus"])
        kinds = [_instance(name) for name in compute_resources.get("instanceTypes", ["optimal"])]

        def total(amount: str) -> int:
            # A started machine is billed whole, so at least one of each kind is there to be used.
            return max(int(getattr(kind, amount)) * max(1, int(max_vcpus // kind.vcpus)) for kind in kinds)

        return cls(
            total=Resources(max_vcpus, total("memory_mib"), total("gpus")),
            largest=Resources(
                max(kind.vcpus for kind in kinds),
                max(kind.memory_mib for kind in kinds),
                max(kind.gpus for kind in kinds),
            ),
        )

    def misfit(self, job: Resources) -> str | None:
        """Why the job can never run here, as AWS Batch words it in `statusReason`."""
        if job.vcpus > self.total.vcpus:
            return TOO_MANY_VCPUS
        return None if job.fits_in(self.largest) and job.fits_in(self.total) else NO_FITTING_INSTANCE


def _instance(name: str) -> Resources:
    known = _INSTANCE_TYPES.get(name)
    if known is not None:
        return known
    # "optimal" and "default_x86_64" choose among general families, none of which has GPUs.
    has_gpus = name.startswith(_FAMILIES_WITH_GPUS)
    return Resources(_BOUNDLESS, _BOUNDLESS, _BOUNDLESS if has_gpus else 0)


def resources_of(container: Mapping[str, Any]) -> Resources:
    """`resourceRequirements` first, then the older `vcpus` and `memory` members."""
    wanted = {item["type"]: item["value"] for item in container.get("resourceRequirements", ())}
    return Resources(
        vcpus=float(wanted.get("VCPU", container.get("vcpus", 0))),
        memory_mib=int(wanted.get("MEMORY", container.get("memory", 0))),
        gpus=int(wanted.get("GPU", 0)),
    )


def used(resources: Iterable[Resources]) -> Resources:
    return sum(resources, Resources())
