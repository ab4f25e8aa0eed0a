from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('accounts', '0002_scopes'),
    ]

    operations = [
        migrations.CreateModel(
            name='Count',
            fields=[
                ('subject', models.TextField(primary_key=True, serialize=False)),
                ('began_at', models.DateTimeField()),
                ('taken', models.IntegerField()),
            ],
        ),
        # Written with every request, and worth nothing after a minute; half of each page is left for new versions of
        # the rows in it.
        migrations.RunSQL(
            'ALTER TABLE accounts_count SET UNLOGGED; ALTER TABLE accounts_count SET (fillfactor = 50)',
            migrations.RunSQL.noop,
        ),
    ]
