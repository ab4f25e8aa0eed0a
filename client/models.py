"""What the API takes and answers; written by `make openapi` from its description."""

from typing import Any, Literal, NotRequired, TypedDict


class Account(TypedDict):
    plan: Literal["enterprise", "studio", "pro", "starter", "free"]
    limits: "PlanLimits"
    stored_bytes: int
    analyses_under_way: int
    credits: "Credits"
    links: dict[str, str]


class Analysis(TypedDict):
    id: str
    video: str
    retry_of: str | None
    model: str
    task: Literal["detect", "segment", "pose", "classify", "obb"]
    options: "Options"
    plan: Literal["enterprise", "studio", "pro", "starter", "free"]
    status: Literal["queued", "submitted", "running", "succeeded", "failed", "cancelled"]
    status_sentence: str
    stage: Literal["", "starting", "fetching", "analysing", "finishing", "drawing"]
    frames_done: int
    frames_total: int | None
    progress: float
    batch_state: str
    waiting_reason: str | None
    estimated_start_at: str | None
    estimated_finish_at: str | None
    error: "Failure | None"
    created_at: str
    submitted_at: str | None
    started_at: str | None
    finished_at: str | None
    stage_seconds: dict[str, float]
    decode_report: "DecodeReport | None"
    summary: "Summary | None"
    links: "AnalysisLinks"


class AnalysisLinks(TypedDict):
    self: str
    video: str
    detections: str
    tracks: str
    seconds: str
    events: str
    live: str
    thumbnails: str
    media: str
    receipt: str
    cancel: NotRequired[str]
    retry: NotRequired[str]
    exports: dict[str, str]
    page: str


class ApiKey(TypedDict):
    id: int
    name: str
    prefix: str
    scopes: list[Literal["videos:read", "videos:write", "analyses:read", "analyses:write", "results:read", "account:read", "webhooks:read", "webhooks:write"]]
    created_at: str
    last_used_at: str | None
    expires_at: str | None
    revoked_at: str | None


class Attempt(TypedDict):
    at: str
    status: int | None
    error: str | None
    milliseconds: int


class Checksum(TypedDict):
    algorithm: Literal["CRC32", "SHA256"]
    value: str


class Counts(TypedDict):
    detections: int
    tracks: int


class Credits(TypedDict):
    balance: int
    reserved: int
    used_this_month: int
    next_grant_at: str


class Cut(TypedDict):
    size_bytes: int
    count: int
    checksum_algorithm: Literal["CRC32", "SHA256", None]


class DecodeReport(TypedDict):
    container: str
    codec: str
    width: int
    height: int
    rotation_degrees: Literal[0, 90, 180, 270]
    mirrored: bool
    time_base: str
    declared_frames: int | None
    decoded_frames: int
    analysed_frames: int
    skipped: list["SkippedFrames"]
    first_pts_us: int
    last_pts_us: int


class Delivery(TypedDict):
    id: str
    message_id: str
    type: Literal["analysis.succeeded", "analysis.failed", "analysis.cancelled", "webhook.ping"]
    analysis: str | None
    state: Literal["pending", "delivered", "failed"]
    created_at: str
    next_attempt_at: str | None
    finished_at: str | None
    attempts: list["Attempt"]
    links: "DeliveryLinks"


class DeliveryLinks(TypedDict):
    self: str
    replay: str


Detection = TypedDict(
    "Detection",
    {
        "class_id": int,
        "frame_index": int,
        "ordinal": int,
        "pts_us": int,
        "track_id": int | None,
        "confidence": float,
        "x1": float,
        "y1": float,
        "x2": float,
        "y2": float,
        "polygon": NotRequired[list[list[float]]],
        "keypoints": NotRequired[list[list[float]]],
        "obb": NotRequired[list[float]],
        "class": str,
    },
)


class Download(TypedDict):
    url: str
    expires_at: str


class Event(TypedDict):
    id: int
    at: str
    status: str
    source: Literal["backend", "batch", "job"]
    detail: dict[str, Any]


class Failure(TypedDict):
    code: str
    message: str
    retryable: bool


class LedgerEntry(TypedDict):
    id: int
    at: str
    kind: Literal["grant", "lapse", "adjustment", "reservation", "settlement", "refund"]
    credits: int
    balance: int
    analysis: str | None
    month: str | None
    plan: str
    reason: str


class Media(TypedDict):
    poster: "Download | None"
    annotated_video: "Download | None"


class Model(TypedDict):
    name: str
    task: Literal["detect", "segment", "pose", "classify", "obb"]
    classes: list[str]
    input_size: list[int]


class NewApiKey(TypedDict):
    id: int
    name: str
    prefix: str
    scopes: list[Literal["videos:read", "videos:write", "analyses:read", "analyses:write", "results:read", "account:read", "webhooks:read", "webhooks:write"]]
    created_at: str
    last_used_at: str | None
    expires_at: str | None
    revoked_at: str | None
    key: str


class Options(TypedDict):
    confidence: NotRequired[float]
    iou: NotRequired[float]
    classes: NotRequired[list[str] | None]
    image_size: NotRequired[int | None]
    every_nth: NotRequired[int]
    frames_per_second: NotRequired[float | None]
    track: NotRequired[bool]
    thumbnails: NotRequired[int]
    annotated_video: NotRequired[bool]


class PlanLimits(TypedDict):
    video_seconds: int
    file_bytes: int
    stored_bytes: int
    concurrent_analyses: int
    monthly_credits: int
    media: "PlanMedia | None"


class PlanMedia(TypedDict):
    containers: list[str]
    codecs: list[str]


class PriceBasis(TypedDict):
    machine: str
    assumed: list[Literal["length", "size"]]


class Quote(TypedDict):
    quote: str
    credits: int
    seconds: float
    stages: dict[str, float]
    basis: "PriceBasis"
    valid_until: str
    balance: int


class Receipt(TypedDict):
    analysis: str
    status: str
    credits: "ReceiptCredits"
    gpu_seconds: float
    machine_seconds: float
    start_up_seconds: float | None
    stage_seconds: dict[str, float]
    machines: list["ReceiptMachine"]
    cost_usd: float | None
    price_region: str


class ReceiptCredits(TypedDict):
    quoted: int | None
    charged: int | None
    refunded: int | None


class ReceiptMachine(TypedDict):
    job_id: str
    attempt: int
    gpu: bool
    instance_type: str | None
    market: str | None
    zone: str | None
    seconds: float
    usd_per_hour: float | None
    price_date: str | None
    cost_usd: float | None


Second = TypedDict(
    "Second",
    {
        "class_id": int,
        "second": int,
        "detections": int,
        "most": int,
        "tracks": int,
        "class": str,
    },
)


class Signed(TypedDict):
    upload: NotRequired["Upload"]
    parts: NotRequired[list["SignedPart"]]


class SignedPart(TypedDict):
    method: Literal["PUT"]
    url: str
    headers: dict[str, str]
    expires_at: str
    number: int


class SkippedFrames(TypedDict):
    after_pts_us: int | None
    reason: str


class StartedVideo(TypedDict):
    id: str
    filename: str
    content_type: str
    size_bytes: int
    status: Literal["uploading", "aborted", "probing", "ready", "refused"]
    facts: "VideoFacts | None"
    error: "Failure | None"
    checksum: "Checksum | None"
    parts: "Cut | None"
    created_at: str
    uploaded_at: str | None
    links: "VideoLinks"
    upload: NotRequired["Upload"]


class StoredPart(TypedDict):
    number: int
    size_bytes: int
    etag: str
    checksum: str | None


class Summary(TypedDict):
    frames: int
    detections: int
    tracks: int
    per_class: dict[str, "Counts"]
    thumbnails: list["Thumbnail"]
    poster: str | None
    annotated_video: str | None


class Thumbnail(TypedDict):
    key: str
    frame_index: int
    pts_us: int


class ThumbnailLink(TypedDict):
    url: str
    expires_at: str
    frame_index: int
    pts_us: int


Track = TypedDict(
    "Track",
    {
        "class_id": int,
        "track_id": int,
        "first_frame": int,
        "last_frame": int,
        "first_pts_us": int,
        "last_pts_us": int,
        "duration_us": int,
        "detections": int,
        "confidence": float,
        "path": list[list[float]],
        "class": str,
    },
)


class Upload(TypedDict):
    method: Literal["PUT"]
    url: str
    headers: dict[str, str]
    expires_at: str


class Video(TypedDict):
    id: str
    filename: str
    content_type: str
    size_bytes: int
    status: Literal["uploading", "aborted", "probing", "ready", "refused"]
    facts: "VideoFacts | None"
    error: "Failure | None"
    checksum: "Checksum | None"
    parts: "Cut | None"
    created_at: str
    uploaded_at: str | None
    links: "VideoLinks"


class VideoFacts(TypedDict):
    container: str
    codec: str
    width: int
    height: int
    rotation_degrees: Literal[0, 90, 180, 270]
    duration_us: int | None
    frames: int | None
    estimated: bool


class VideoLinks(TypedDict):
    self: str
    sign: str
    parts: str
    finish: str
    abort: str
    page: str


class Webhook(TypedDict):
    id: str
    url: str
    events: list[Literal["analysis.succeeded", "analysis.failed", "analysis.cancelled"]]
    enabled: bool
    disabled_reason: str | None
    created_at: str
    last_success_at: str | None
    links: "WebhookLinks"


class WebhookLinks(TypedDict):
    self: str
    deliveries: str
    ping: str
    rotate_secret: str


class WebhookWithSecret(TypedDict):
    id: str
    url: str
    events: list[Literal["analysis.succeeded", "analysis.failed", "analysis.cancelled"]]
    enabled: bool
    disabled_reason: str | None
    created_at: str
    last_success_at: str | None
    links: "WebhookLinks"
    secret: str
