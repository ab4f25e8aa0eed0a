"""What the store says to PostgreSQL."""

from psycopg import sql

from batch_job.aggregates import IN_FRAME, ON_PATH, PLACES, WHOLE_SECOND
from batch_job.claim import HELD, named
from batch_job.copy_rows import COLUMNS
from contract import tables

PROGRESS = named(f"""
    UPDATE {{analysis}}
    SET frames_done = frames_done + %(frames)s,
        frames_total = CASE WHEN %(total)s::bigint IS NOT NULL THEN greatest(%(total)s, %(end)s) END,
        updated_at = now() {HELD} RETURNING id
""")
FINISH = named(f"""
    UPDATE {{analysis}}
    SET status = %(succeeded)s, stage = '', frames_done = %(frames)s, frames_total = %(frames)s,
        summary = %(summary)s, decode_report = %(report)s, stage_seconds = %(seconds)s,
        error_code = '', error_message = '', error_retryable = NULL, finished_at = now(), updated_at = now()
    {HELD} RETURNING id
""")
CHUNK = named("""
    INSERT INTO {chunk} (analysis_id, number, first_frame, pts_us, damaged, committed_at)
    VALUES (%(id)s, %(number)s, %(first)s, %(pts_us)s, %(damaged)s, now())
    ON CONFLICT (analysis_id, number) DO NOTHING RETURNING number
""")
COPY = sql.SQL("COPY {} ({}) FROM STDIN (FORMAT BINARY)").format(
    sql.Identifier(tables.DETECTION), sql.SQL(", ").join(map(sql.Identifier, COLUMNS))
)
CHUNK_NUMBERED = named(
    "SELECT first_frame, pts_us, damaged FROM {chunk} WHERE analysis_id = %(id)s AND number = %(number)s"
)
INPUTS = named(f"UPDATE {{analysis}} SET inputs = coalesce(inputs, %(inputs)s) {HELD} RETURNING inputs")
ANEW = named(f"""
    UPDATE {{analysis}}
    SET inputs = coalesce(%(inputs)s, inputs), frames_done = 0, frames_total = NULL, updated_at = now()
    {HELD} RETURNING id
""")
STORED = named("SELECT count(*) FROM {chunk} WHERE analysis_id = %(id)s")
NUMBERS = named("SELECT number FROM {chunk} WHERE analysis_id = %(id)s")
CHUNK_WITH = named("""
    SELECT first_frame, pts_us FROM {chunk} WHERE analysis_id = %(id)s AND first_frame <= %(index)s
    ORDER BY first_frame DESC LIMIT 1
""")
DETECTIONS = named("""
    SELECT frame_index, class_id, track_id, confidence, x1, y1, x2, y2, shape FROM {detection}
    WHERE analysis_id = %(id)s AND frame_index >= %(first)s AND frame_index < %(end)s ORDER BY frame_index, ordinal
""")
TRACK_IDS = named("""
    UPDATE {detection} AS found SET track_id = given.track_id
    FROM unnest(%(frames)s::bigint[], %(ordinals)s::smallint[], %(tracks)s::integer[])
        AS given (frame_index, ordinal, track_id)
    WHERE found.analysis_id = %(id)s
      AND found.frame_index = given.frame_index AND found.ordinal = given.ordinal
""")
FORGET = (
    named("DELETE FROM {chunk} WHERE analysis_id = %(id)s"),
    named("DELETE FROM {detection} WHERE analysis_id = %(id)s"),
)
COUNTS = named("""
    SELECT class_id, count(*), count(DISTINCT track_id) FROM {detection} WHERE analysis_id = %(id)s
    GROUP BY class_id ORDER BY class_id
""")
# The order inside the mean makes its rounding the same whatever order the rows lie in.
TRACKS = named(f"""
    INSERT INTO {{track}} (analysis_id, track_id, class_id, first_frame, last_frame, first_pts_us, last_pts_us,
                           detections, confidence, path)
    SELECT %(id)s, track_id, min(class_id), min(frame_index), max(frame_index), min(pts_us), max(pts_us),
           count(*), avg(confidence ORDER BY frame_index),
           jsonb_agg(jsonb_build_array(pts_us, round(((x1::float8 + x2) / 2)::numeric, 2),
                                       round(((y1::float8 + y2) / 2)::numeric, 2)) ORDER BY frame_index)
               FILTER (WHERE {ON_PATH})
    FROM (
        SELECT *, {PLACES} FROM {{detection}} WHERE analysis_id = %(id)s AND track_id IS NOT NULL
    ) AS placed
    GROUP BY track_id
""")
SECONDS = named(f"""
    INSERT INTO {{second}} (analysis_id, second, class_id, detections, most, tracks)
    SELECT %(id)s, second, class_id, count(*), max(in_frame), count(DISTINCT track_id)
    FROM (
        SELECT class_id, track_id, {WHOLE_SECOND} AS second, {IN_FRAME} AS in_frame
        FROM {{detection}} WHERE analysis_id = %(id)s
    ) AS counted
    GROUP BY second, class_id
""")
