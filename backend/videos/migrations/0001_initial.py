import backend.videos.fields
import django.contrib.postgres.fields
import django.db.models.deletion
import django.db.models.functions.datetime
import uuid
from django.conf import settings
from django.db import migrations, models


class Migration(migrations.Migration):

    initial = True

    dependencies = [
        migrations.swappable_dependency(settings.AUTH_USER_MODEL),
    ]

    operations = [
        migrations.CreateModel(
            name='Analysis',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('model', models.TextField()),
                ('class_names', models.JSONField()),
                ('options', models.JSONField()),
                ('plan', models.TextField(db_default='free', default='free')),
                ('status', models.TextField(choices=[('queued', 'queued'), ('submitted', 'submitted'), ('running', 'running'), ('succeeded', 'succeeded'), ('failed', 'failed'), ('cancelled', 'cancelled')], db_default='queued', default='queued')),
                ('stage', models.TextField(blank=True, db_default='', default='')),
                ('frames_done', models.BigIntegerField(db_default=0, default=0)),
                ('frames_total', models.BigIntegerField(blank=True, null=True)),
                ('claim_job_id', models.TextField(blank=True, null=True)),
                ('claim_attempt', models.IntegerField(blank=True, null=True)),
                ('batch_job_id', models.TextField(blank=True, db_default='', default='')),
                ('batch_state', models.TextField(blank=True, db_default='', default='')),
                ('batch_reason', models.TextField(blank=True, db_default='', default='')),
                ('batch_attempts', models.SmallIntegerField(db_default=0, default=0)),
                ('error_code', models.TextField(blank=True, db_default='', default='')),
                ('error_message', models.TextField(blank=True, db_default='', default='')),
                ('error_retryable', models.BooleanField(blank=True, null=True)),
                ('decode_report', models.JSONField(blank=True, null=True)),
                ('summary', models.JSONField(blank=True, null=True)),
                ('stage_seconds', models.JSONField(blank=True, db_default={}, default=dict)),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('submitted_at', models.DateTimeField(blank=True, null=True)),
                ('started_at', models.DateTimeField(blank=True, null=True)),
                ('finished_at', models.DateTimeField(blank=True, null=True)),
                ('updated_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='analyses', to=settings.AUTH_USER_MODEL)),
            ],
            options={
                'verbose_name_plural': 'analyses',
            },
        ),
        migrations.CreateModel(
            name='Chunk',
            fields=[
                ('pk', models.CompositePrimaryKey('analysis_id', 'number', blank=True, editable=False, primary_key=True, serialize=False)),
                ('number', models.IntegerField()),
                ('first_frame', models.BigIntegerField()),
                ('pts_us', django.contrib.postgres.fields.ArrayField(base_field=models.BigIntegerField(), size=None)),
                ('committed_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('analysis', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='chunks', to='videos.analysis')),
            ],
        ),
        migrations.CreateModel(
            name='Detection',
            fields=[
                ('pk', models.CompositePrimaryKey('analysis_id', 'frame_index', 'ordinal', blank=True, editable=False, primary_key=True, serialize=False)),
                ('frame_index', models.BigIntegerField()),
                ('ordinal', models.SmallIntegerField()),
                ('pts_us', models.BigIntegerField()),
                ('class_id', models.SmallIntegerField()),
                ('track_id', models.IntegerField(blank=True, null=True)),
                ('confidence', backend.videos.fields.RealField()),
                ('x1', backend.videos.fields.RealField()),
                ('y1', backend.videos.fields.RealField()),
                ('x2', backend.videos.fields.RealField()),
                ('y2', backend.videos.fields.RealField()),
                ('analysis', models.ForeignKey(db_constraint=False, db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='detections', to='videos.analysis')),
            ],
        ),
        migrations.CreateModel(
            name='Track',
            fields=[
                ('pk', models.CompositePrimaryKey('analysis_id', 'track_id', blank=True, editable=False, primary_key=True, serialize=False)),
                ('track_id', models.IntegerField()),
                ('class_id', models.SmallIntegerField()),
                ('first_frame', models.BigIntegerField()),
                ('last_frame', models.BigIntegerField()),
                ('first_pts_us', models.BigIntegerField()),
                ('last_pts_us', models.BigIntegerField()),
                ('detections', models.IntegerField()),
                ('confidence', backend.videos.fields.RealField()),
                ('analysis', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='tracks', to='videos.analysis')),
            ],
        ),
        migrations.CreateModel(
            name='Video',
            fields=[
                ('id', models.UUIDField(default=uuid.uuid4, editable=False, primary_key=True, serialize=False)),
                ('filename', models.TextField()),
                ('content_type', models.TextField()),
                ('size_bytes', models.BigIntegerField()),
                ('status', models.TextField(choices=[('uploading', 'Uploading'), ('uploaded', 'Uploaded')], default='uploading')),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now(), editable=False)),
                ('uploaded_at', models.DateTimeField(blank=True, editable=False, null=True)),
                ('owner', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='videos', to=settings.AUTH_USER_MODEL)),
            ],
        ),
        migrations.AddField(
            model_name='analysis',
            name='video',
            field=models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='analyses', to='videos.video'),
        ),
        migrations.CreateModel(
            name='AnalysisEvent',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('status', models.TextField()),
                ('source', models.TextField()),
                ('detail', models.JSONField(db_default={}, default=dict)),
                ('analysis', models.ForeignKey(db_index=False, on_delete=django.db.models.deletion.CASCADE, related_name='events', to='videos.analysis')),
            ],
            options={
                'indexes': [models.Index(fields=['analysis', 'id'], name='videos_event_history')],
            },
        ),
        migrations.CreateModel(
            name='OutboxMessage',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('body', models.TextField()),
                ('created_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('sent_at', models.DateTimeField(blank=True, null=True)),
                ('not_before', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('attempts', models.IntegerField(db_default=0, default=0)),
                ('last_error', models.TextField(blank=True, db_default='', default='')),
                ('analysis', models.ForeignKey(on_delete=django.db.models.deletion.CASCADE, related_name='messages', to='videos.analysis')),
            ],
            options={
                'indexes': [models.Index(condition=models.Q(('sent_at__isnull', True)), fields=['id'], name='videos_outbox_unsent')],
            },
        ),
        migrations.AddIndex(
            model_name='video',
            index=models.Index(fields=['owner', '-created_at', '-id'], name='videos_video_newest'),
        ),
        migrations.AddConstraint(
            model_name='video',
            constraint=models.CheckConstraint(condition=models.Q(('size_bytes__gte', 0)), name='videos_video_size_bytes'),
        ),
        migrations.AddIndex(
            model_name='analysis',
            index=models.Index(fields=['owner', '-created_at', '-id'], name='videos_analysis_newest'),
        ),
        migrations.AddConstraint(
            model_name='analysis',
            constraint=models.CheckConstraint(condition=models.Q(('status__in', ['queued', 'submitted', 'running', 'succeeded', 'failed', 'cancelled'])), name='videos_analysis_status'),
        ),
    ]
