#!/usr/bin/env bash
# A relocatable Python, and into it the packages of the lock, and TensorRT where its index is given.
set -euo pipefail
archive="$(mktemp)"
curl --fail --silent --show-error --location --retry 3 --output "${archive}" "${PYTHON_URL:?}"
echo "${PYTHON_SHA256:?}  ${archive}" | sha256sum --check --quiet
tar --extract --file "${archive}" --directory /opt/runtime --strip-components 1 --no-same-owner
rm "${archive}"
cd "${CHECKOUT:?}"
/opt/runtime/bin/python -m packer.runtime packages --lock "packer/${RUNTIME_LOCK:?}"
if [[ -n "${TENSORRT_INDEX?}" ]]; then
  /opt/runtime/bin/python -m packer.runtime packages --lock packer/tensorrt.lock --index "${TENSORRT_INDEX}"
fi
