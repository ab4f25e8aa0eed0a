import django.db.models.deletion
import django.db.models.functions.datetime
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='LedgerEntry',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('kind', models.TextField(choices=[('grant', 'Grant'), ('lapse', 'Lapse'), ('adjustment', 'Adjustment'), ('reservation', 'Reservation'), ('settlement', 'Settlement'), ('refund', 'Refund')])),
                ('credits', models.BigIntegerField()),
                ('balance', models.BigIntegerField(db_default=0, editable=False)),
                ('analysis_id', models.UUIDField(blank=True, null=True)),
                ('month', models.DateField(blank=True, null=True)),
                ('plan', models.TextField(blank=True, default='')),
                ('reason', models.TextField(blank=True, default='')),
                ('user', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.PROTECT, related_name='ledger', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name_plural': 'ledger entries',
                'indexes': [models.Index(fields=['user', '-id'], name='plans_ledger_newest')],
                'constraints': [models.UniqueConstraint(condition=models.Q(('kind', 'grant')), fields=('user', 'month', 'plan'), name='plans_ledger_granted_once'), models.UniqueConstraint(condition=models.Q(('kind', 'lapse')), fields=('user', 'month'), name='plans_ledger_lapsed_once'), models.UniqueConstraint(condition=models.Q(('kind', 'reservation')), fields=('analysis_id',), name='plans_ledger_reserved_once'), models.UniqueConstraint(condition=models.Q(('kind__in', ['settlement', 'refund'])), fields=('analysis_id',), name='plans_ledger_closed_once'), models.CheckConstraint(condition=models.Q(models.Q(('credits__lte', 0), ('kind__in', ['lapse', 'reservation'])), models.Q(('credits__gte', 0), ('kind__in', ['grant', 'settlement', 'refund'])), ('kind', 'adjustment'), _connector='OR'), name='plans_ledger_sign'), models.CheckConstraint(condition=models.Q(models.Q(('analysis_id__isnull', False), ('kind__in', ['reservation', 'settlement', 'refund'])), models.Q(('analysis_id__isnull', True), ('kind__in', ['grant', 'lapse']), ('month__isnull', False)), models.Q(('analysis_id__isnull', True), ('kind', 'adjustment'), models.Q(('reason', ''), _negated=True)), _connector='OR'), name='plans_ledger_subject'), models.CheckConstraint(condition=models.Q(('balance__gte', 0)), name='plans_ledger_overdrawn')],
            },
        ),
    ]
