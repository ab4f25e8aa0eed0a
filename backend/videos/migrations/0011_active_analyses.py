from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('videos', '0009_deleted_analyses'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='analysis',
            index=models.Index(condition=models.Q(('status__in', ['queued', 'submitted', 'running'])), fields=['owner'], name='videos_analysis_active'),
        ),
    ]
