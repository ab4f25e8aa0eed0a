"""What is made of all detections: parts of SQL that PostgreSQL and SQLite understand in the same way."""

from contract.results import PATH_POINTS

# Rounded down also before zero, where `/` rounds up.
WHOLE_SECOND = "(pts_us / 1000000 - (CASE WHEN pts_us < pts_us / 1000000 * 1000000 THEN 1 ELSE 0 END))"
IN_FRAME = "count(*) OVER (PARTITION BY frame_index, class_id)"

PLACES = """
    row_number() OVER (PARTITION BY track_id ORDER BY frame_index) - 1 AS place,
    count(*) OVER (PARTITION BY track_id) AS many
"""
# The first place, the last, and as many in between at equal distances but for rounding: those at which the number
# of steps that are behind grows by one.
_STEPS = PATH_POINTS - 1
ON_PATH = f"""
    (many <= {PATH_POINTS} OR place = 0 OR place * {_STEPS} / (many - 1) > (place - 1) * {_STEPS} / (many - 1))
"""
