from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('videos', '0002_seconds_and_paths'),
    ]

    operations = [
        migrations.AddField(
            model_name='chunk',
            name='damaged',
            field=models.BooleanField(db_default=False, default=False),
        ),
    ]
