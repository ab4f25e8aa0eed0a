#!/usr/bin/env bash
# TensorRT engines of the ONNX exports, on this machine's own GPU: a file built on another family would not open.
set -euo pipefail
if [[ -z "${DRIVER_FLOOR?}" ]]; then
  echo "no GPU: no engine is built"
  exit 0
fi
cd "${CHECKOUT:?}"
/opt/runtime/bin/python -m packer.runtime engines
