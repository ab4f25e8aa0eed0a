#!/usr/bin/env bash
# Every model in every engine on a real clip, and what would only show when jobs run. The manifest stays a draft.
set -euo pipefail
cd "${CHECKOUT:?}"
/opt/runtime/bin/python -m packer.runtime manifest --manifest manifest.json \
  ${DRIVER_FLOOR:+--driver-floor "${DRIVER_FLOOR}"}
/opt/runtime/bin/python -m packer.runtime try --manifest manifest.json --clip clip
if ! [[ "$(stat --format %u /var/lib/framebatch/scratch)" == 1000 ]]; then
  echo "/var/lib/framebatch/scratch does not belong to user 1000" >&2
  exit 1
fi
used="$(du --summarize --total --block-size M /opt/runtime /opt/models | tail --lines 1 | cut --fields 1)"
if ((${used%M} > ${DISK_BUDGET_MIB:?})); then
  echo "/opt/runtime and /opt/models take ${used%M} MiB, and their budget is ${DISK_BUDGET_MIB} MiB" >&2
  exit 1
fi
free="$(df --output=avail --block-size M / | tail --lines 1 | tr --delete ' ')"
if ((${free%M} < ${SCRATCH_MIB:?})); then
  echo "jobs would find ${free%M} MiB free, and need ${SCRATCH_MIB} MiB" >&2
  exit 1
fi
echo "${used%M} MiB in /opt/runtime and /opt/models, ${free%M} MiB left for jobs"
