# syntax=docker/dockerfile:1
# The job's image: our code and its light dependencies, nothing else. Python, torch, CUDA and the models lie on the
# machine image, mounted under /opt/runtime and /opt/models. Built by `make image` from a context that
# tools/images.py lays out, so that no layer depends on the hour, the builder or the network.

# glibc, libstdc++, libgomp, OpenSSL and certificates; no shell, no package manager, no compiler, no Python.
# `make image-bases` writes the digest of the tag behind it, and a release refuses the line without one.
ARG BASE=gcr.io/distroless/cc-debian12:nonroot
FROM ${BASE}

# Layers in the order in which they change: every few weeks, then with every commit.
COPY dependencies /opt/dependencies
COPY code /app

# `video` gives a container on a GPU machine the hardware decoder beside CUDA.
ENV PATH=/opt/runtime/bin \
    PYTHONPATH=/app:/opt/dependencies \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    TMPDIR=/scratch \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility,video
WORKDIR /app
USER 1000:1000
CMD ["python", "-m", "batch_job"]

# Labels change the image's configuration and no layer.
ARG BASE
ARG REVISION=unknown
ARG RUNTIME_ABI
LABEL org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.title="framebatch-analysis" \
      org.opencontainers.image.licenses="AGPL-3.0-or-later" \
      org.opencontainers.image.revision="${REVISION}" \
      framebatch.runtime-abi="${RUNTIME_ABI}"
