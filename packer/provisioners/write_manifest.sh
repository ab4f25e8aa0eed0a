#!/usr/bin/env bash
# Last, after the clean-up: only an image that still holds all that was tried gets its manifest.
set -euo pipefail
cd "${CHECKOUT:?}"
PYTHONDONTWRITEBYTECODE=1 /opt/runtime/bin/python -m packer.runtime check --manifest manifest.json
install --mode 0644 manifest.json /opt/runtime/manifest.json
cd /
rm -rf "${CHECKOUT}"
