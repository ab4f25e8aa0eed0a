"""What the API answers, as its description shows it. A test checks each against its schema."""

from typing import Any

from contract.options import AnalysisOptions

VIDEO_ID = "7c1f0a52-3b1c-4b7e-9a55-0a3a1f6f5d10"
ANALYSIS_ID = "85746feb-0676-489c-b7d2-c1e86a75a192"
_VIDEO_PATH = f"/api/videos/{VIDEO_ID}"
_ANALYSIS_PATH = f"/api/analyses/{ANALYSIS_ID}"

_STEPS = ("sign", "parts", "finish", "abort")
UPLOADING: dict[str, Any] = {
    "id": VIDEO_ID,
    "filename": "street.mp4",
    "content_type": "video/mp4",
    "size_bytes": 48_113_664,
    "status": "uploading",
    "facts": None,
    "error": None,
    "checksum": None,
    "parts": None,
    "created_at": "2026-01-01T12:00:00Z",
    "uploaded_at": None,
    "links": {
        "self": _VIDEO_PATH,
        **{step: f"{_VIDEO_PATH}/{step}" for step in _STEPS},
        "page": f"/videos/{VIDEO_ID}",
    },
}
ABORTED = {**UPLOADING, "status": "aborted"}
PROBING = {**UPLOADING, "status": "probing", "uploaded_at": "2026-01-01T12:00:20Z"}
VIDEO = {
    **PROBING,
    "status": "ready",
    "facts": {
        "container": "mov,mp4,m4a,3gp,3g2,mj2",
        "codec": "h264",
        "width": 1920,
        "height": 1080,
        "rotation_degrees": 0,
        "duration_us": 50_050_000,
        "frames": 1500,
        "estimated": False,
    },
}
START_UPLOAD = {"filename": "street.mp4", "size_bytes": 48_113_664, "content_type": "video/mp4"}
_SIGNED = {
    "method": "PUT",
    "url": "https://media.example/uploads/7/7c1f0a52?X-Amz-Signature=0f3a",
    "headers": {"Content-Type": "video/mp4"},
    "expires_at": "2026-01-01T13:00:00Z",
}
STARTED_VIDEO = {**UPLOADING, "upload": _SIGNED}
_PART_CHECKSUM = "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="
SIGN_PARTS = {"parts": [{"number": 1, "checksum": _PART_CHECKSUM}]}
SIGNED_PARTS = {
    "parts": [
        {
            **_SIGNED,
            "number": 1,
            "url": "https://media.example/uploads/7/7c1f0a52?partNumber=1&uploadId=3kQ&X-Amz-Signature=0f3a",
            "headers": {"x-amz-checksum-sha256": _PART_CHECKSUM},
        }
    ]
}
FINISH_UPLOAD = {"checksum": _PART_CHECKSUM}
STORED_PART = {
    "number": 1,
    "size_bytes": 16_777_216,
    "etag": '"79b281060d337b9b2b84ccf390adcf74"',
    "checksum": _PART_CHECKSUM,
}

REQUEST = {"video": VIDEO_ID, "model": "yolov8n", "options": {"confidence": 0.4, "classes": ["car", "person"]}}
OPTIONS = {**AnalysisOptions().to_dict(), "confidence": 0.4, "classes": ["car", "person"]}
_LINKS = {
    "self": _ANALYSIS_PATH,
    "video": _VIDEO_PATH,
    **{name: f"{_ANALYSIS_PATH}/{name}" for name in ("detections", "tracks", "seconds", "events", "live")},
    **{name: f"{_ANALYSIS_PATH}/{name}" for name in ("thumbnails", "media", "receipt")},
    "exports": {"csv": f"{_ANALYSIS_PATH}/exports/csv"},
    "page": f"/analyses/{ANALYSIS_ID}",
}
QUEUED: dict[str, Any] = {
    "id": ANALYSIS_ID,
    "video": VIDEO_ID,
    "retry_of": None,
    "model": "yolov8n",
    "task": "detect",
    "options": OPTIONS,
    "plan": "pro",
    "status": "queued",
    "status_sentence": "Waiting to be handed to the compute service",
    "stage": "",
    "frames_done": 0,
    "frames_total": None,
    "progress": 0.0,
    "batch_state": "",
    "waiting_reason": "The request is on its way to the compute service.",
    "estimated_start_at": "2026-01-01T12:03:10Z",
    "estimated_finish_at": None,
    "error": None,
    "created_at": "2026-01-01T12:00:30Z",
    "submitted_at": None,
    "started_at": None,
    "finished_at": None,
    "stage_seconds": {},
    "decode_report": None,
    "summary": None,
    "links": {**_LINKS, "cancel": f"{_ANALYSIS_PATH}/cancel"},
}
RUNNING = {
    **QUEUED,
    "status": "running",
    "status_sentence": "Analysing the frames",
    "stage": "analysing",
    "frames_done": 384,
    "frames_total": 1500,
    "progress": 0.256,
    "batch_state": "RUNNING",
    "waiting_reason": None,
    "estimated_start_at": None,
    "estimated_finish_at": "2026-01-01T12:02:40Z",
    "submitted_at": "2026-01-01T12:00:31Z",
    "started_at": "2026-01-01T12:01:10Z",
}
CANCELLED = {
    **RUNNING,
    "status": "cancelled",
    "status_sentence": "Cancelled",
    "stage": "",
    "estimated_finish_at": None,
    "finished_at": "2026-01-01T12:01:40Z",
    "links": {**_LINKS, "retry": f"{_ANALYSIS_PATH}/retry"},
}

DETECTION = {
    "frame_index": 120,
    "ordinal": 0,
    "pts_us": 4_004_000,
    "class_id": 2,
    "class": "car",
    "track_id": 7,
    "confidence": 0.91,
    "x1": 312.5,
    "y1": 208.0,
    "x2": 498.25,
    "y2": 301.75,
}
TRACK = {
    "track_id": 7,
    "class_id": 2,
    "class": "car",
    "first_frame": 96,
    "last_frame": 210,
    "first_pts_us": 3_203_200,
    "last_pts_us": 7_007_000,
    "duration_us": 3_803_800,
    "detections": 112,
    "confidence": 0.87,
    "path": [[3_203_200, 120.5, 250.25], [7_007_000, 611.0, 248.5]],
}
SECOND = {"second": 4, "class_id": 2, "class": "car", "detections": 58, "most": 3, "tracks": 3}
EVENT = {
    "id": 1041,
    "at": "2026-01-01T12:01:10Z",
    "status": "running",
    "source": "job",
    "detail": {},
}
_DOWNLOAD = {"url": "https://media.example/poster.jpg?X-Amz-Signature=0f3a", "expires_at": "2026-01-01T13:00:00Z"}
THUMBNAIL = {**_DOWNLOAD, "frame_index": 120, "pts_us": 4_004_000}
MEDIA = {"poster": _DOWNLOAD, "annotated_video": None}
MODEL = {"name": "yolov8n", "task": "detect", "classes": ["person", "bicycle", "car"], "input_size": [640, 640]}


def page(row: Any, *, path: str | None = None) -> dict[str, Any]:
    """The only page of a list, or with a path the first of several."""
    return {"results": [row], "next": f"{path}?cursor=WzEyMCwwXQ" if path else None}
