#!/usr/bin/env bash
# What belongs to the machine that was baked on, and must not be in the image: keys, names, logs, caches.
set -euo pipefail
rm -rf /root/.cache /var/cache/dnf /root/.ssh/authorized_keys /home/*/.ssh/authorized_keys
rm -f /etc/ssh/ssh_host_* /root/.bash_history /home/*/.bash_history
# The agent would otherwise join its cluster under the baking machine's name.
rm -rf /var/lib/ecs/data
find /var/log -type f -exec truncate --size 0 {} +
: > /etc/machine-id
