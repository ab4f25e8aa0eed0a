import backend.videos.fields
from django.db import migrations, models

# Whoever writes an event or an analysis, be it SQL of the job, tells those who listen when it commits.
# How far an analysis is, it tells a hundred times at most, or every 1,000 frames while nobody knows how many there are.
TRIGGERS = """
CREATE FUNCTION videos_tell_event() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify('framebatch_live', json_build_object(
        'analysis', NEW.analysis_id,
        'owner', owner_id,
        'event', NEW.id,
        'horizon', pg_snapshot_xmin(pg_current_snapshot())::text::bigint
    )::text) FROM videos_analysis WHERE id = NEW.analysis_id;
    RETURN NULL;
END $$;

CREATE TRIGGER videos_tell_event AFTER INSERT ON videos_analysisevent
FOR EACH ROW EXECUTE FUNCTION videos_tell_event();

CREATE FUNCTION videos_tell_change() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    PERFORM pg_notify(
        'framebatch_live', json_build_object('analysis', NEW.id, 'owner', NEW.owner_id)::text
    );
    RETURN NULL;
END $$;

CREATE TRIGGER videos_tell_change AFTER UPDATE ON videos_analysis
FOR EACH ROW WHEN (
    (OLD.status, OLD.stage, OLD.batch_state, OLD.batch_reason, OLD.frames_done * 100 / nullif(OLD.frames_total, 0),
     CASE WHEN OLD.frames_total IS NULL THEN OLD.frames_done / 1000 END)
    IS DISTINCT FROM
    (NEW.status, NEW.stage, NEW.batch_state, NEW.batch_reason, NEW.frames_done * 100 / nullif(NEW.frames_total, 0),
     CASE WHEN NEW.frames_total IS NULL THEN NEW.frames_done / 1000 END)
)
EXECUTE FUNCTION videos_tell_change();
"""
NO_TRIGGERS = """
DROP TRIGGER videos_tell_change ON videos_analysis;
DROP FUNCTION videos_tell_change;
DROP TRIGGER videos_tell_event ON videos_analysisevent;
DROP FUNCTION videos_tell_event;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('videos', '0013_on_demand'),
    ]

    operations = [
        migrations.AddField(
            model_name='analysisevent',
            name='transaction',
            field=backend.videos.fields.TransactionIdField(db_default=backend.videos.fields.CurrentTransaction(), editable=False),
        ),
        migrations.AddIndex(
            model_name='analysisevent',
            index=models.Index(fields=['transaction'], name='videos_event_transaction'),
        ),
        migrations.RunSQL(TRIGGERS, NO_TRIGGERS),
    ]
