from django.db import migrations

# In the transaction that ends an analysis, be it SQL of the job: so each end is owed to each endpoint exactly once.
# With the rights of its owner, because the job has none on these tables. An endpoint that is being deleted is waited
# for and left out; without the lock, its foreign key would undo the end of the analysis.
TRIGGER = """
CREATE FUNCTION webhooks_enqueue() RETURNS trigger LANGUAGE plpgsql SECURITY DEFINER SET search_path FROM CURRENT AS $$
BEGIN
    INSERT INTO webhooks_delivery (endpoint_id, event_id, analysis_id, kind)
    SELECT endpoint.id, NEW.id, NEW.analysis_id, 'analysis.' || NEW.status
    FROM webhooks_endpoint AS endpoint
    WHERE endpoint.owner_id = (SELECT owner_id FROM videos_analysis WHERE id = NEW.analysis_id)
      AND endpoint.enabled AND 'analysis.' || NEW.status = ANY(endpoint.events)
    FOR KEY SHARE OF endpoint
    ON CONFLICT (endpoint_id, event_id) DO NOTHING;
    RETURN NULL;
END $$;

CREATE TRIGGER webhooks_enqueue AFTER INSERT ON videos_analysisevent
FOR EACH ROW WHEN (NEW.status IN ('succeeded', 'failed', 'cancelled'))
EXECUTE FUNCTION webhooks_enqueue();
"""
NO_TRIGGER = """
DROP TRIGGER webhooks_enqueue ON videos_analysisevent;
DROP FUNCTION webhooks_enqueue;
"""


class Migration(migrations.Migration):

    dependencies = [
        ('webhooks', '0001_initial'),
        ('videos', '0016_live'),
    ]

    operations = [migrations.RunSQL(TRIGGER, NO_TRIGGER)]
