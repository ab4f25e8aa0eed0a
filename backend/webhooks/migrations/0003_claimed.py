from django.db import migrations, models


class Migration(migrations.Migration):

    dependencies = [
        ('webhooks', '0002_enqueue'),
    ]

    operations = [
        migrations.AddIndex(
            model_name='delivery',
            index=models.Index(
                condition=models.Q(('claimed_until__isnull', False), ('state', 'pending')),
                fields=['endpoint'],
                name='webhooks_delivery_claimed',
            ),
        ),
    ]
