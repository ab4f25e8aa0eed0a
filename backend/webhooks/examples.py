"""What the API answers about webhooks, as its description shows it."""

from typing import Any

from backend.videos.examples import ANALYSIS_ID, page

__all__ = ["CHANGE", "CREATE", "DELIVERY", "PENDING", "WEBHOOK", "WITH_SECRET", "page"]

_ID = "0d9a1cf4-8a55-4d24-9f6a-5f3f8f1f6c11"
_DELIVERY_ID = "3c7b7f0e-52c1-4a0e-8f5d-0b8d4a3f9e21"
_PATH = f"/api/webhooks/{_ID}"
_DELIVERY_PATH = f"{_PATH}/deliveries/{_DELIVERY_ID}"

CREATE = {"url": "https://hooks.example/framebatch", "events": ["analysis.failed", "analysis.succeeded"]}
CHANGE = {"enabled": True}
WEBHOOK: dict[str, Any] = {
    "id": _ID,
    **CREATE,
    "enabled": True,
    "disabled_reason": None,
    "created_at": "2026-01-01T12:00:00Z",
    "last_success_at": "2026-01-01T12:02:41Z",
    "links": {
        "self": _PATH,
        "deliveries": f"{_PATH}/deliveries",
        "ping": f"{_PATH}/ping",
        "rotate_secret": f"{_PATH}/rotate-secret",
    },
}
WITH_SECRET = {**WEBHOOK, "secret": "whsec_" + "c2VjcmV0" * 5 + "c2Vj"}
PENDING: dict[str, Any] = {
    "id": _DELIVERY_ID,
    "message_id": f"msg_{_DELIVERY_ID.replace('-', '')}",
    "type": "analysis.succeeded",
    "analysis": ANALYSIS_ID,
    "state": "pending",
    "created_at": "2026-01-01T12:02:40Z",
    "next_attempt_at": "2026-01-01T12:02:40Z",
    "finished_at": None,
    "attempts": [],
    "links": {"self": _DELIVERY_PATH, "replay": f"{_DELIVERY_PATH}/replay"},
}
DELIVERY = {
    **PENDING,
    "state": "delivered",
    "next_attempt_at": None,
    "finished_at": "2026-01-01T12:02:41Z",
    "attempts": [{"at": "2026-01-01T12:02:41Z", "status": 204, "error": None, "milliseconds": 87}],
}
