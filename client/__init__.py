"""A client of Framebatch's API: upload a video, ask for an analysis, wait for it, read what was found.

>>> with Client("https://framebatch.example", "fb_...") as client:      # doctest: +SKIP
...     video = client.upload(Path("street.mp4"))
...     analysis = client.wait(client.request_analysis(video["id"])["id"])
...     cars = [box for box in client.detections(analysis["id"], class_=["car"])]
"""

from .client import Client
from .errors import ApiError, FramebatchError, StorageRefused, Unreachable, VideoRefused, WaitTimeout

__all__ = [
    "ApiError",
    "Client",
    "FramebatchError",
    "StorageRefused",
    "Unreachable",
    "VideoRefused",
    "WaitTimeout",
]
