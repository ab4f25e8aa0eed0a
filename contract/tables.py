"""Names of the tables and columns the job reads and writes. Django's migrations own the tables; a test holds the
two together.
"""

ANALYSIS = "videos_analysis"
ANALYSIS_COLUMNS = (
    "id",  # uuid
    "status",  # text, contract.statuses.AnalysisStatus
    "on_demand",  # boolean: Spot machines have been given up, and their jobs may not claim it any more
    "stage",  # text, contract.statuses.Stage, or empty
    "frames_done",  # bigint
    "frames_total",  # bigint or null: an estimate until the last frame is decoded
    "claim_job_id",  # text or null; with claim_attempt the fencing token
    "claim_attempt",  # integer or null
    "inputs",  # text or null: what the stored chunks were made from
    "error_code",  # text, contract.errors.ErrorCode, or empty
    "error_message",  # text for the user, or empty
    "error_retryable",  # boolean or null
    "decode_report",  # jsonb or null, contract.results.DecodeReport
    "summary",  # jsonb or null, contract.results.Summary
    "stage_seconds",  # jsonb, {"decode": 1.25, ...}
    "started_at",  # timestamptz or null: first claim
    "finished_at",  # timestamptz or null
    "updated_at",  # timestamptz
)

EVENT = "videos_analysisevent"
EVENT_COLUMNS = (
    "analysis_id",  # uuid
    "at",  # timestamptz, default now()
    "status",  # text
    "source",  # text: backend, batch or job
    "detail",  # jsonb
)

# One container at work on an analysis; what it costs is told from here.
RUN = "videos_run"
RUN_COLUMNS = (
    "analysis_id",  # uuid
    "job_id",  # text: AWS Batch's; of an array `parent:index`
    "attempt",  # integer from 1
    "gpu",  # boolean: the container sees a GPU
    "instance_type",  # text or null where the machine does not tell
    "market",  # text or null: spot or on-demand
    "zone",  # text or null: the availability zone
    "started_at",  # timestamptz, default now(): the claim
    "seen_at",  # timestamptz, default now(): the last commit
)

# A chunk row says that all its frames are stored. `pts_us` has one entry per analysed frame, in order, so that
# frames without a detection keep their time and the tracker can be rebuilt by replay.
CHUNK = "videos_chunk"
CHUNK_COLUMNS = (
    "analysis_id",  # uuid
    "number",  # integer from 0
    "first_frame",  # bigint: index of its first analysed frame among all analysed frames
    "pts_us",  # bigint[]
    "damaged",  # boolean: something of the video had been skipped or mended by then
    "committed_at",  # timestamptz, default now()
)

DETECTION = "videos_detection"
DETECTION_COLUMNS = (
    "analysis_id",  # uuid
    "frame_index",  # bigint: index among all analysed frames, from 0
    "ordinal",  # smallint: most confident box of the frame first
    "pts_us",  # bigint
    "class_id",  # smallint
    "track_id",  # integer or null
    "confidence",  # real
    "x1",  # real, pixels of the upright frame, x to the right, y down
    "y1",
    "x2",
    "y2",
    "shape",  # real[] or null, by the model's task (contract.manifest.TASKS), pixels as above:
    #   detect    null
    #   segment   x1, y1, x2, y2, ...: the corners of the object's outline, of its largest part if it has several
    #   pose      x, y, confidence (0 to 1; 1 where the model gives none) of each key point, in the model's order
    #   obb       centre x, centre y, width, height, angle (radians from the x axis to the width, clockwise as
    #             seen); it may reach over the frame's border, and x1 y1 x2 y2 is its hull inside the frame
    #   classify  null; a row is one of at most five classes of a frame, and x1 y1 x2 y2 is the whole frame
)

TRACK = "videos_track"
TRACK_COLUMNS = (
    "analysis_id",  # uuid
    "track_id",  # integer from 1
    "class_id",  # smallint
    "first_frame",  # bigint
    "last_frame",  # bigint
    "first_pts_us",  # bigint
    "last_pts_us",  # bigint
    "detections",  # integer
    "confidence",  # real: mean over its detections
    "path",  # jsonb: [[pts_us, centre x, centre y], ...], at most contract.results.PATH_POINTS
)

# What a chart over time needs, without reading every detection. Nothing found in a second: no row.
SECOND = "videos_second"
SECOND_COLUMNS = (
    "analysis_id",  # uuid
    "second",  # bigint: pts_us / 1,000,000, rounded down
    "class_id",  # smallint
    "detections",  # integer: in all analysed frames of this second
    "most",  # integer: in one frame
    "tracks",  # integer: different ones
)
