"""What an analysis left in PostgreSQL."""

import psycopg


def rows_of(connection: psycopg.Connection, analysis_id: str) -> dict[str, list]:
    """Everything the job stored for an analysis, without what names the analysis or the hour."""
    queries = {
        "detections": "SELECT frame_index, ordinal, pts_us, class_id, track_id, confidence, x1, y1, x2, y2, shape"
        " FROM videos_detection WHERE analysis_id = %s ORDER BY frame_index, ordinal",
        "tracks": "SELECT track_id, class_id, first_frame, last_frame, first_pts_us, last_pts_us, detections,"
        " confidence, path FROM videos_track WHERE analysis_id = %s ORDER BY track_id",
        "seconds": "SELECT second, class_id, detections, most, tracks FROM videos_second WHERE analysis_id = %s"
        " ORDER BY second, class_id",
        "chunks": "SELECT number, first_frame, pts_us FROM videos_chunk WHERE analysis_id = %s ORDER BY number",
    }
    return {name: connection.execute(query, [analysis_id]).fetchall() for name, query in queries.items()}
