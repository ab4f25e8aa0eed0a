# syntax=docker/dockerfile:1
# The backend's image: API, worker and migrations are three commands of it. Built by `make image-backend` from a context
# that tools/images.py lays out, as the job's image is.

# Python 3.11, its libraries and a shell, in which a task definition may lay a file out before it starts a program.
# `make image-bases` writes the digest of the tag behind it, and a release refuses the line without one.
ARG BASE=docker.io/library/python:3.11-slim-bookworm

FROM ${BASE} AS static
COPY dependencies /opt/dependencies
COPY code /app
COPY collect_static.py /
ENV PYTHONPATH=/app:/opt/dependencies PYTHONDONTWRITEBYTECODE=1
RUN ["python", "/collect_static.py", "/static"]

FROM ${BASE}
COPY dependencies /opt/dependencies
COPY --from=static /static /static
COPY code /app
ENV PYTHONPATH=/app:/opt/dependencies \
    PYTHONDONTWRITEBYTECODE=1 \
    PYTHONUNBUFFERED=1 \
    STATIC_ROOT=/static
WORKDIR /app
USER 1000:1000
EXPOSE 8000
# Of the API; the worker has no port, and a service that runs it says so.
HEALTHCHECK --interval=15s --timeout=5s --start-period=30s CMD ["python", "-c", "import urllib.request; urllib.request.urlopen('http://127.0.0.1:8000/healthz', timeout=4)"]
# Whoever deploys names the proxies whose word about the client's address and scheme counts: FORWARDED_ALLOW_IPS.
# The worker: python -m backend.manage run_worker. The migrations: python -m backend.manage migrate --no-input.
CMD ["python", "-m", "uvicorn", "backend.config.asgi:application", "--host", "0.0.0.0", "--port", "8000", "--proxy-headers"]

ARG BASE
ARG REVISION=unknown
ARG RUNTIME_ABI
LABEL org.opencontainers.image.base.name="${BASE}" \
      org.opencontainers.image.title="framebatch-backend" \
      org.opencontainers.image.licenses="AGPL-3.0-or-later" \
      org.opencontainers.image.revision="${REVISION}" \
      framebatch.runtime-abi="${RUNTIME_ABI}"
