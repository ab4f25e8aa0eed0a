import django.db.models.deletion
import django.db.models.functions.datetime
from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('videos', '0005_analysis_inputs'),
    ]

    operations = [
        migrations.CreateModel(
            name='DeadRequest',
            fields=[
                ('id', models.BigAutoField(auto_created=True, primary_key=True, serialize=False, verbose_name='ID')),
                ('message_id', models.TextField(unique=True)),
                ('body', models.TextField()),
                ('buried_at', models.DateTimeField(db_default=django.db.models.functions.datetime.Now())),
                ('analysis', models.ForeignKey(null=True, on_delete=django.db.models.deletion.CASCADE, related_name='dead_requests', to='videos.analysis')),
            ],
        ),
    ]
