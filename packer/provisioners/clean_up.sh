#!/usr/bin/env bash
# What belongs to the machine that was baked on, and must not be in the image: keys, names, histories, logs, caches.
set -euo pipefail
# Running, they would write down again who this machine is.
if [[ -d /run/systemd/system ]]; then
  for agent in ecs amazon-ssm-agent; do
    if systemctl cat "${agent}" >/dev/null; then # else it is not installed
      systemctl stop "${agent}"
    fi
  done
fi
if command -v cloud-init >/dev/null; then
  cloud-init clean --logs --seed
fi
for home in /root /home/*; do
  rm -rf "${home}"/.ssh/* "${home}"/{.cache,.aws,.docker,.gnupg}
  rm -f "${home}"/.*_history "${home}"/{.lesshst,.viminfo,.netrc,.git-credentials,.wget-hsts}
done
rm -rf /var/cache/dnf
rm -f /etc/ssh/ssh_host_*
# The agents would otherwise sign in under the baking machine's name, and the second with its key.
rm -rf /var/lib/ecs/data/* /var/lib/amazon/ssm/*
find /var/log -type f -exec truncate --size 0 {} +
: > /etc/machine-id
