"""The product's settings, server and middleware with one view that does nothing."""

from backend.config.settings import *  # noqa: F403

ROOT_URLCONF = "bench.bare_urls"
