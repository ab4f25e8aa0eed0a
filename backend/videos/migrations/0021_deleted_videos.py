from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('videos', '0020_paces'),
    ]

    operations = [
        migrations.AddField(
            model_name='video',
            name='deleted_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='owedcall',
            name='kind',
            field=models.TextField(choices=[('terminate_job', 'Terminate Job'), ('cancel_analysis', 'Cancel Analysis'), ('remove_object', 'Remove Object'), ('remove_analysis', 'Remove Analysis'), ('remove_video', 'Remove Video')]),
        ),
    ]
