#!/usr/bin/env bash
# What belongs to the machine that was baked on, and must not be in the image: keys, names, histories, logs, caches.
set -euo pipefail
if command -v cloud-init >/dev/null; then
  cloud-init clean --logs --seed
fi
for home in /root /home/*; do
  rm -rf "${home}"/.ssh/* "${home}"/{.cache,.aws,.docker,.gnupg}
  rm -f "${home}"/.*_history "${home}"/{.lesshst,.viminfo,.netrc,.git-credentials,.wget-hsts}
done
rm -rf /var/cache/dnf
rm -f /etc/ssh/ssh_host_*
# The agent would otherwise join its cluster under the baking machine's name.
rm -rf /var/lib/ecs/data
find /var/log -type f -exec truncate --size 0 {} +
: > /etc/machine-id
