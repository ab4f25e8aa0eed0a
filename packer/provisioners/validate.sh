#!/usr/bin/env bash
# Last, after the clean-up, so that what is checked is what becomes the image.
set -euo pipefail
cd "${CHECKOUT:?}"
/opt/runtime/bin/python -m packer.runtime check
if ! [[ "$(stat --format %u /var/lib/framebatch/scratch)" == 1000 ]]; then
  echo "/var/lib/framebatch/scratch does not belong to user 1000" >&2
  exit 1
fi
rm -rf "${CHECKOUT}"
