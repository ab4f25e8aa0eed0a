import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('videos', '0007_idempotency_keys'),
    ]

    operations = [
        migrations.AddField(
            model_name='analysis',
            name='retry_of',
            field=models.ForeignKey(blank=True, editable=False, null=True, on_delete=django.db.models.deletion.SET_NULL, related_name='retries', to='videos.analysis'),
        ),
        migrations.CreateModel(
            name='OwedCall',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('kind', models.TextField(choices=[('terminate_job', 'Terminate Job')])),
                ('subject', models.TextField()),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('done_at', models.DateTimeField(blank=True, null=True)),
                ('not_before', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('attempts', models.IntegerField(db_default=0, default=0)),
                ('last_error', models.TextField(blank=True, db_default='', default='')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('done_at__isnull', True)), fields=['not_before'], name='videos_owedcall_due')],
                'constraints': [models.UniqueConstraint(fields=('kind', 'subject'), name='videos_owedcall_once')],
            },
        ),
    ]
