#!/usr/bin/env bash
# What belongs to the machine that was baked on, and must not be in the image: keys, names, histories, logs, caches.
set -euo pipefail
if command -v cloud-init >/dev/null; then
  cloud-init clean --logs --seed
fi
rm -rf /root/.cache /home/*/.cache /var/cache/dnf /root/.aws /home/*/.aws
rm -f /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys /etc/ssh/ssh_host_*
rm -f /root/.*_history /home/*/.*_history
# The agent would otherwise join its cluster under the baking machine's name.
rm -rf /var/lib/ecs/data
find /var/log -type f -exec truncate --size 0 {} +
: > /etc/machine-id
