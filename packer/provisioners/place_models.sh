#!/usr/bin/env bash
# The models of the lock, and the manifest, which says what is there.
set -euo pipefail
cd "${CHECKOUT:?}"
/opt/runtime/bin/python -m packer.runtime models ${DRIVER_FLOOR:+--driver-floor "${DRIVER_FLOOR}"}
