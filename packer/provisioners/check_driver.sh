#!/usr/bin/env bash
# A driver below the floor lets the image be made and every job on it fail.
set -euo pipefail
if [[ -z "${DRIVER_FLOOR?}" ]]; then
  echo "no GPU: no driver is asked for"
  exit 0
fi
# The machine answers over SSH before it has chosen a kernel module for its GPU and loaded it.
attempts=0
until found="$(nvidia-smi --query-gpu=driver_version --format=csv,noheader)"; do
  if ! command -v nvidia-smi >/dev/null || ((++attempts == 60)); then
    echo "nvidia-smi finds no driver, and ${DRIVER_FLOOR} is the lowest that will do" >&2
    exit 1
  fi
  sleep 2
done
found="$(head -n 1 <<<"${found}")"
if [[ "$(printf '%s\n' "${DRIVER_FLOOR}" "${found}" | sort --version-sort | head -n 1)" != "${DRIVER_FLOOR}" ]]; then
  echo "the driver is ${found}, and ${DRIVER_FLOOR} is the lowest that will do" >&2
  exit 1
fi
echo "driver ${found}"
