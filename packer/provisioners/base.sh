#!/usr/bin/env bash
# The folders that the job definition mounts. Docker would make them itself, and scratch would belong to root.
set -euo pipefail
install --directory --mode 0755 /opt/runtime /opt/models /var/lib/framebatch
install --directory --mode 0750 --owner 1000 --group 1000 /var/lib/framebatch/scratch
