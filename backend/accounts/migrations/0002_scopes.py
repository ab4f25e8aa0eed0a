import django.contrib.postgres.fields
from django.db import migrations, models

# What keys could do before there were scopes: everything.
ALL = [
    "videos:read",
    "videos:write",
    "analyses:read",
    "analyses:write",
    "results:read",
    "account:read",
    "webhooks:read",
    "webhooks:write",
]


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0001_initial'),
    ]

    operations = [
        migrations.AddField(
            model_name='apikey',
            name='scopes',
            field=django.contrib.postgres.fields.ArrayField(base_field=models.TextField(), default=ALL, help_text='What it may be used for.', size=None),
            preserve_default=False,
        ),
        migrations.AddField(
            model_name='apikey',
            name='expires_at',
            field=models.DateTimeField(blank=True, editable=False, null=True),
        ),
    ]
