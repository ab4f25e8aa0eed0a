from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('videos', '0008_owed_calls'),
    ]

    operations = [
        migrations.AddField(
            model_name='analysis',
            name='deleted_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
        migrations.AlterField(
            model_name='owedcall',
            name='kind',
            field=models.TextField(choices=[('terminate_job', 'Terminate Job'), ('remove_analysis', 'Remove Analysis')]),
        ),
    ]
