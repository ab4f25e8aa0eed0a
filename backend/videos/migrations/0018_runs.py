import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('videos', '0017_uploads_in_parts'),
    ]

    operations = [
        migrations.CreateModel(
            name='Run',
            fields=[
                ('pk', models.CompositePrimaryKey('analysis_id', 'job_id', 'attempt', blank=True, editable=False, primary_key=True, serialize=False)),
                ('job_id', models.TextField()),
                ('attempt', models.IntegerField()),
                ('gpu', models.BooleanField()),
                ('instance_type', models.TextField(blank=True, null=True)),
                ('market', models.TextField(blank=True, null=True)),
                ('zone', models.TextField(blank=True, null=True)),
                ('started_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('seen_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('analysis', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='runs', to='videos.analysis')),
            ],
        ),
    ]
