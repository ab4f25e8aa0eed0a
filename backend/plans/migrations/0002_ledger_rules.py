"""What the database itself keeps of the ledger, whoever writes: Django, the job with its own SQL, or a person."""

from django.db import migrations

# The lock makes the entries of one user follow one another, and the number is drawn under it: the entry with the
# highest number is the one with the newest balance.
APPEND = """
CREATE FUNCTION plans_ledger_append() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    reserved bigint;
BEGIN
    PERFORM 1 FROM accounts_user WHERE id = NEW.user_id FOR NO KEY UPDATE;
    IF NEW.kind IN ('settlement', 'refund') THEN
        SELECT -credits INTO reserved FROM plans_ledgerentry
        WHERE analysis_id = NEW.analysis_id AND kind = 'reservation' AND user_id = NEW.user_id;
        IF reserved IS NULL OR NEW.credits > reserved OR NEW.kind = 'refund' AND NEW.credits < reserved THEN
            RAISE EXCEPTION 'a % of % credits does not fit the reservation of %', NEW.kind, NEW.credits, reserved
                USING ERRCODE = 'integrity_constraint_violation';
        END IF;
    END IF;
    NEW.id := nextval(pg_get_serial_sequence('plans_ledgerentry', 'id'));
    NEW.balance := NEW.credits + coalesce(
        (SELECT balance FROM plans_ledgerentry WHERE user_id = NEW.user_id ORDER BY id DESC LIMIT 1), 0
    );
    RETURN NEW;
END
$$;
CREATE TRIGGER plans_ledger_append BEFORE INSERT ON plans_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION plans_ledger_append();
"""

KEEP = """
CREATE FUNCTION plans_ledger_keep() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
    RAISE EXCEPTION 'the ledger is only appended to' USING ERRCODE = 'integrity_constraint_violation';
END
$$;
CREATE TRIGGER plans_ledger_keep BEFORE UPDATE OR DELETE ON plans_ledgerentry
    FOR EACH ROW EXECUTE FUNCTION plans_ledger_keep();
"""

# Deferred to the commit: whoever ends an analysis may have much to write yet, and must not hold its owner's account
# meanwhile. An analysis that nobody reserved credits for is none of the ledger's business.
CLOSE = """
CREATE FUNCTION plans_close_reservation() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    reservation plans_ledgerentry;
    used bigint;
BEGIN
    SELECT * INTO reservation FROM plans_ledgerentry WHERE analysis_id = NEW.id AND kind = 'reservation';
    IF NOT FOUND THEN
        RETURN NULL;
    END IF;
    IF NEW.status = 'succeeded' THEN
        SELECT ceil(sum(extract(epoch FROM seen_at - started_at))) INTO used
        FROM videos_run WHERE analysis_id = NEW.id;
    ELSE
        used := 0;
    END IF;
    INSERT INTO plans_ledgerentry (user_id, kind, credits, analysis_id, plan, reason)
    VALUES (
        reservation.user_id,
        CASE NEW.status WHEN 'succeeded' THEN 'settlement' ELSE 'refund' END,
        greatest(-reservation.credits - coalesce(used, -reservation.credits), 0),
        NEW.id, '', ''
    )
    ON CONFLICT DO NOTHING;
    RETURN NULL;
END
$$;
CREATE CONSTRAINT TRIGGER plans_close_reservation AFTER UPDATE OF status ON videos_analysis
    DEFERRABLE INITIALLY DEFERRED FOR EACH ROW
    WHEN (OLD.status IS DISTINCT FROM NEW.status AND NEW.status IN ('succeeded', 'failed', 'cancelled'))
    EXECUTE FUNCTION plans_close_reservation();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('plans', '0001_ledger'),
        ('videos', '0018_runs'),
    ]

    operations = [
        migrations.RunSQL(
            APPEND,
            'DROP TRIGGER plans_ledger_append ON plans_ledgerentry; DROP FUNCTION plans_ledger_append();',
        ),
        migrations.RunSQL(
            KEEP, 'DROP TRIGGER plans_ledger_keep ON plans_ledgerentry; DROP FUNCTION plans_ledger_keep();'
        ),
        migrations.RunSQL(
            CLOSE, 'DROP TRIGGER plans_close_reservation ON videos_analysis; DROP FUNCTION plans_close_reservation();'
        ),
    ]
