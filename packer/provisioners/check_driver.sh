#!/usr/bin/env bash
# A driver below the floor lets the image be made and every job on it fail.
set -euo pipefail
if [[ -z "${DRIVER_FLOOR?}" ]]; then
  echo "no GPU: no driver is asked for"
  exit 0
fi
if ! found="$(nvidia-smi --query-gpu=driver_version --format=csv,noheader)"; then
  echo "nvidia-smi finds no driver, and ${DRIVER_FLOOR} is the lowest that will do" >&2
  exit 1
fi
found="$(head -n 1 <<<"${found}")"
if [[ "$(printf '%s\n' "${DRIVER_FLOOR}" "${found}" | sort --version-sort | head -n 1)" != "${DRIVER_FLOOR}" ]]; then
  echo "the driver is ${found}, and ${DRIVER_FLOOR} is the lowest that will do" >&2
  exit 1
fi
echo "driver ${found}"
