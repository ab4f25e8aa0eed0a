"""The gateways this process uses, made once from the settings."""

from functools import lru_cache

from django.conf import settings

from backend.gateways.batch_jobs import BatchJobs
from backend.gateways.incoming_queue import IncomingQueue
from backend.gateways.request_queue import RequestQueue
from backend.gateways.s3 import MediaBucket


def media_bucket() -> MediaBucket:
    return _media_bucket(settings.MEDIA_BUCKET)


def request_queue() -> RequestQueue:
    return RequestQueue(settings.REQUESTS_QUEUE_URL)


def batch_jobs() -> BatchJobs:
    return BatchJobs()


def job_events_queue() -> IncomingQueue:
    return IncomingQueue(settings.JOB_EVENTS_QUEUE_URL)


def dead_requests_queue() -> IncomingQueue:
    return IncomingQueue(settings.DEAD_REQUESTS_QUEUE_URL)


@lru_cache(maxsize=4)
def _media_bucket(name: str) -> MediaBucket:
    # One client: making it reads botocore's service description, which takes longer than the call.
    return MediaBucket(name)
