#!/usr/bin/env bash
# The models of the lock, each file checked by its sha256.
set -euo pipefail
cd "${CHECKOUT:?}"
/opt/runtime/bin/python -m packer.runtime models
