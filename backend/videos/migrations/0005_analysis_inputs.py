from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('videos', '0004_detection_shape'),
    ]

    operations = [
        migrations.AddField(
            model_name='analysis',
            name='inputs',
            field=models.TextField(blank=True, null=True),
        ),
    ]
