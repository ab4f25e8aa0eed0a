"""Several grants of one plan in a month, and what lapses of credits that come back after their month."""

from django.conf import settings
from django.db import migrations, models

# A reservation draws on the month whose grant stands before it, wherever in time its analysis ends: what comes back
# is counted where it was taken. Never below zero, because what was spent beyond the grant was not the plan's.
LEFT = """
CREATE FUNCTION plans_left_of_grant(of_user bigint, of_month date) RETURNS bigint LANGUAGE sql STABLE AS $$
    WITH granted AS (
        SELECT min(id) AS first, coalesce(sum(credits), 0) AS credits FROM plans_ledgerentry
        WHERE user_id = of_user AND kind = 'grant' AND month = of_month
    ), later AS (
        SELECT min(id) AS first FROM plans_ledgerentry
        WHERE user_id = of_user AND kind = 'grant' AND month > of_month
    ), reserved AS (
        SELECT analysis_id, entry.credits FROM plans_ledgerentry AS entry, granted, later
        WHERE user_id = of_user AND kind = 'reservation'
            AND id > granted.first AND id < coalesce(later.first, 9223372036854775807)
    ), returned AS (
        SELECT credits FROM plans_ledgerentry
        WHERE kind IN ('settlement', 'refund') AND analysis_id IN (SELECT analysis_id FROM reserved)
    )
    SELECT greatest(
        (SELECT credits FROM granted)
            + (SELECT coalesce(sum(credits), 0) FROM reserved)
            + (SELECT coalesce(sum(credits), 0) FROM returned),
        0
    )::bigint
$$;
"""

# As much as would have lapsed with the rest of its month, had it come back in time. The account is held by then: the
# entry that brought it back was numbered under the lock.
LAPSE = """
CREATE FUNCTION plans_lapse_late() RETURNS trigger LANGUAGE plpgsql AS $$
DECLARE
    drawn_from date;
    newest date;
    lapsing bigint;
BEGIN
    SELECT month INTO drawn_from FROM plans_ledgerentry
    WHERE user_id = NEW.user_id AND kind = 'grant' AND id < (
        SELECT id FROM plans_ledgerentry WHERE analysis_id = NEW.analysis_id AND kind = 'reservation'
    )
    ORDER BY id DESC LIMIT 1;
    SELECT max(month) INTO newest FROM plans_ledgerentry WHERE user_id = NEW.user_id AND kind = 'grant';
    IF newest > drawn_from THEN
        lapsing := least(NEW.credits, plans_left_of_grant(NEW.user_id, drawn_from));
        IF lapsing > 0 THEN
            INSERT INTO plans_ledgerentry (user_id, kind, credits, analysis_id, month, plan, reason)
            VALUES (NEW.user_id, 'lapse', -lapsing, NEW.analysis_id, newest, '', '');
        END IF;
    END IF;
    RETURN NULL;
END
$$;
CREATE TRIGGER plans_lapse_late AFTER INSERT ON plans_ledgerentry
    FOR EACH ROW WHEN (NEW.kind IN ('settlement', 'refund') AND NEW.credits > 0)
    EXECUTE FUNCTION plans_lapse_late();
"""


class Migration(migrations.Migration):

    dependencies = [
        ('plans', '0002_ledger_rules'),
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.RemoveConstraint(model_name='ledgerentry', name='plans_ledger_granted_once'),
        migrations.RemoveConstraint(model_name='ledgerentry', name='plans_ledger_lapsed_once'),
        migrations.RemoveConstraint(model_name='ledgerentry', name='plans_ledger_subject'),
        migrations.AddIndex(
            model_name='ledgerentry',
            index=models.Index(
                condition=models.Q(('kind', 'grant')), fields=['user', 'month'], name='plans_ledger_granted'
            ),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.UniqueConstraint(
                condition=models.Q(('analysis_id__isnull', True), ('kind', 'lapse')),
                fields=('user', 'month'),
                name='plans_ledger_lapsed_once',
            ),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.UniqueConstraint(
                condition=models.Q(('kind', 'lapse')), fields=('analysis_id',), name='plans_ledger_lapsed_late_once'
            ),
        ),
        migrations.AddConstraint(
            model_name='ledgerentry',
            constraint=models.CheckConstraint(
                condition=models.Q(
                    models.Q(('analysis_id__isnull', False), ('kind__in', ['reservation', 'settlement', 'refund'])),
                    models.Q(('analysis_id__isnull', True), ('kind', 'grant'), ('month__isnull', False)),
                    models.Q(('kind', 'lapse'), ('month__isnull', False)),
                    models.Q(
                        ('analysis_id__isnull', True),
                        ('kind', 'adjustment'),
                        models.Q(('reason', ''), _negated=True),
                    ),
                    _connector='OR',
                ),
                name='plans_ledger_subject',
            ),
        ),
        migrations.RunSQL(LEFT, 'DROP FUNCTION plans_left_of_grant(bigint, date);'),
        migrations.RunSQL(LAPSE, 'DROP TRIGGER plans_lapse_late ON plans_ledgerentry; DROP FUNCTION plans_lapse_late();'),
    ]
