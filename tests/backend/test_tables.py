"""The tables are Django's, but the job writes to them with SQL of its own: the contract holds the two together."""

from io import StringIO
from uuid import uuid4

import psycopg
import pytest
from django.conf import settings as django_settings
from django.core.management import call_command
from django.db import connection, models

from backend.accounts.models import User
from backend.videos.models import Analysis, AnalysisEvent, Chunk, Detection, Run, Second, Track
from contract import tables
from contract.statuses import AnalysisStatus
from tests.backend.making import make_analysis, make_second

pytestmark = pytest.mark.django_db

# Only these columns are unknown to the contract: PostgreSQL fills them.
OWN_COLUMNS = {
    tables.EVENT: {"id", "transaction"},
    tables.RUN: set(),
    tables.CHUNK: set(),
    tables.DETECTION: set(),
    tables.TRACK: set(),
    tables.SECOND: set(),
}


def columns_of(model: type[models.Model]) -> set[str]:
    return {field.column for field in model._meta.concrete_fields if field.column}


@pytest.mark.parametrize(
    ("model", "table", "columns"),
    [
        pytest.param(AnalysisEvent, tables.EVENT, tables.EVENT_COLUMNS, id="event"),
        pytest.param(Run, tables.RUN, tables.RUN_COLUMNS, id="run"),
        pytest.param(Chunk, tables.CHUNK, tables.CHUNK_COLUMNS, id="chunk"),
        pytest.param(Detection, tables.DETECTION, tables.DETECTION_COLUMNS, id="detection"),
        pytest.param(Track, tables.TRACK, tables.TRACK_COLUMNS, id="track"),
        pytest.param(Second, tables.SECOND, tables.SECOND_COLUMNS, id="second"),
    ],
)
def test_tables_the_job_inserts_into_have_exactly_the_contracts_columns(model, table, columns):
    """A column only one side knows is either never written or breaks the job's COPY."""
    assert model._meta.db_table == table
    assert columns_of(model) - OWN_COLUMNS[table] == set(columns)


def test_analysis_has_all_columns_the_job_updates():
    """The backend's own columns are none of the job's business, so this is a subset."""
    assert Analysis._meta.db_table == tables.ANALYSIS
    assert set(tables.ANALYSIS_COLUMNS) <= columns_of(Analysis)


def test_column_types_are_those_the_contract_tells_the_job():
    """Binary COPY sends exactly these types; PostgreSQL does not convert them."""
    expected = {
        (tables.DETECTION, "frame_index"): "bigint",
        (tables.DETECTION, "ordinal"): "smallint",
        (tables.DETECTION, "pts_us"): "bigint",
        (tables.DETECTION, "class_id"): "smallint",
        (tables.DETECTION, "track_id"): "integer",
        **{(tables.DETECTION, name): "real" for name in ("confidence", "x1", "y1", "x2", "y2")},
        (tables.DETECTION, "shape"): "ARRAY",
        (tables.RUN, "gpu"): "boolean",
        (tables.RUN, "attempt"): "integer",
        (tables.RUN, "seen_at"): "timestamp with time zone",
        (tables.CHUNK, "number"): "integer",
        (tables.CHUNK, "first_frame"): "bigint",
        (tables.CHUNK, "pts_us"): "ARRAY",
        (tables.TRACK, "track_id"): "integer",
        (tables.TRACK, "confidence"): "real",
        (tables.TRACK, "detections"): "integer",
        (tables.TRACK, "path"): "jsonb",
        (tables.SECOND, "second"): "bigint",
        (tables.SECOND, "class_id"): "smallint",
        **{(tables.SECOND, name): "integer" for name in ("detections", "most", "tracks")},
        (tables.ANALYSIS, "id"): "uuid",
        (tables.ANALYSIS, "status"): "text",
        (tables.ANALYSIS, "stage"): "text",
        (tables.ANALYSIS, "frames_done"): "bigint",
        (tables.ANALYSIS, "claim_job_id"): "text",
        (tables.ANALYSIS, "claim_attempt"): "integer",
        (tables.ANALYSIS, "summary"): "jsonb",
        (tables.ANALYSIS, "stage_seconds"): "jsonb",
        (tables.ANALYSIS, "updated_at"): "timestamp with time zone",
        (tables.EVENT, "detail"): "jsonb",
    }
    with connection.cursor() as cursor:
        cursor.execute("SELECT table_name, column_name, data_type FROM information_schema.columns")
        actual = {(table, column): kind for table, column, kind in cursor.fetchall()}
    assert {key: actual[key] for key in expected} == expected


def test_rows_written_with_the_contracts_columns_alone_are_complete(owner: User):
    """The job's SQL does not know Django's defaults, so the database must have them."""
    analysis = make_analysis(owner)
    with connection.cursor() as cursor:
        cursor.execute(
            f"INSERT INTO {tables.EVENT} (analysis_id, status, source) VALUES (%s, 'running', 'job')",
            [analysis.pk],
        )
        cursor.execute(
            f"INSERT INTO {tables.CHUNK} (analysis_id, number, first_frame, pts_us)"
            " VALUES (%s, 0, 0, '{0,40000}')",
            [analysis.pk],
        )
    assert analysis.events.get().detail == {}
    assert analysis.events.get().at is not None
    chunk = Chunk.objects.get(pk=(analysis.pk, 0))
    assert chunk.pts_us == [0, 40_000]
    assert chunk.committed_at is not None


def test_every_status_of_the_contract_can_be_stored_and_no_other(owner: User):
    """The constraint lists strings; a status added to the contract needs a migration before it is used."""
    for status in AnalysisStatus:
        make_analysis(owner, status=status.value)
    with pytest.raises(Exception, match="videos_analysis_status"):
        make_analysis(owner, status="resting")


def test_deleting_an_analysis_takes_its_results_along(owner: User):
    """Detections have no foreign key in the database, so Django must not forget them."""
    analysis = make_analysis(owner)
    Detection.objects.create(
        analysis=analysis,
        frame_index=0,
        ordinal=0,
        pts_us=0,
        class_id=0,
        confidence=1,
        x1=0,
        y1=0,
        x2=1,
        y2=1,
    )
    Chunk.objects.create(analysis=analysis, number=0, first_frame=0, pts_us=[0])
    make_second(analysis, 0)
    analysis.delete()
    assert not Detection.objects.exists()
    assert not Second.objects.exists()
    assert not Chunk.objects.exists()


def test_migrations_are_complete():
    """A model changed without its migration works in no place but the developer's head."""
    call_command("makemigrations", "--check", "--dry-run", stdout=StringIO())


def test_migrations_may_take_their_time():
    """An index on a large table takes longer than any request may."""
    with connection.cursor() as cursor:
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("15s",)
        call_command("migrate", verbosity=0)
        cursor.execute("SHOW statement_timeout")
        assert cursor.fetchone() == ("0",)


def test_migrations_do_not_depend_on_the_contract():
    """History must stay as it was when an enum of today is renamed."""
    for path in django_settings.BACKEND.glob("*/migrations/*.py"):
        assert "contract" not in path.read_text(), path


def test_database_url_gives_a_migrated_database_over_tcp(database_url: str):
    """Store tests and subprocesses connect without Django."""
    with psycopg.connect(database_url) as plain:
        assert plain.execute(f"SELECT count(*) FROM {tables.DETECTION}").fetchone() == (0,)
        insert = f"INSERT INTO {tables.CHUNK} (analysis_id, number, first_frame, pts_us) VALUES (%s, 0, 0, '{{}}')"
        plain.execute(insert, [uuid4()])
        with pytest.raises(psycopg.errors.ForeignKeyViolation):
            plain.commit()  # Django's constraints are checked at the end
