"""Where each type of resource that Terraform declares shows in the month's bill, or why it does not.

A test holds this against terraform/: a new type of resource is priced, or has a reason here.
"""

BILLED: dict[str, tuple[str, ...]] = {  # lines of `costs.bills`
    "aws_batch_compute_environment": ("GPU machines", "addresses of GPU machines"),
    "aws_batch_job_definition": ("requests, logs, results sent",),  # each job reads a secret and writes a log
    "aws_cloudwatch_dashboard": ("alarms, dashboard, logs",),
    "aws_cloudwatch_log_group": ("alarms, dashboard, logs", "requests, logs, results sent"),
    "aws_cloudwatch_log_metric_filter": ("alarms, dashboard, logs",),
    "aws_cloudwatch_metric_alarm": ("alarms, dashboard, logs",),
    "aws_db_instance": ("database", "results in the database", "backups of the database"),
    "aws_ecr_repository": ("secrets, images, asking queues",),
    "aws_ecs_cluster": ("Container Insights",),
    "aws_ecs_service": ("API and worker (Fargate)", "public addresses"),
    "aws_eip": ("public addresses",),
    "aws_lambda_event_source_mapping": ("secrets, images, asking queues",),
    "aws_lambda_function": ("requests, logs, results sent",),
    "aws_launch_template": (
        "GPU machines",
        "machine images",
    ),  # volumes, first reads, snapshots
    "aws_lb": ("load balancer", "public addresses"),
    "aws_nat_gateway": ("NAT gateways", "through endpoints, gateways, zones"),
    "aws_s3_bucket": ("videos in S3", "requests, logs, results sent"),  # a bucket of states is cents
    "aws_s3_bucket_versioning": ("videos in S3",),
    "aws_secretsmanager_secret": ("secrets, images, asking queues",),
    "aws_sqs_queue": ("secrets, images, asking queues", "requests, logs, results sent"),
    "aws_vpc_endpoint": ("endpoints", "through endpoints, gateways, zones"),
}

_PART = "part of another resource, which is billed"
_SETTING = "a setting, a role or a rule, which costs nothing"

FREE: dict[str, str] = {
    "aws_acm_certificate": "public certificates for a load balancer are free",
    "aws_acm_certificate_validation": "waits, and is nothing",
    "aws_appautoscaling_policy": "free; the two alarms that it makes itself are a fifth of a dollar",
    "aws_appautoscaling_target": _SETTING,
    "aws_batch_job_queue": "AWS Batch itself is free",
    "aws_batch_scheduling_policy": "AWS Batch itself is free",
    "aws_budgets_budget": "a budget that only tells is free",
    "aws_cloudwatch_event_rule": "events of AWS's own services are free",
    "aws_cloudwatch_event_target": "free within the account; what arrives is billed as messages and logs",
    "aws_cloudwatch_log_resource_policy": _SETTING,
    "aws_db_parameter_group": _SETTING,
    "aws_db_subnet_group": _SETTING,
    "aws_default_security_group": _SETTING,
    "aws_ecr_lifecycle_policy": _SETTING,
    "aws_ecs_task_definition": _PART,
    "aws_iam_instance_profile": _SETTING,
    "aws_iam_openid_connect_provider": _SETTING,
    "aws_iam_role": _SETTING,
    "aws_iam_role_policy": _SETTING,
    "aws_iam_service_linked_role": _SETTING,
    "aws_internet_gateway": "free; what leaves through it is billed as results sent",
    "aws_lb_listener": _PART,
    "aws_lb_target_group": _PART,
    "aws_route": _SETTING,
    "aws_route53_record": "answers that name a load balancer are free; the zone is the operator's",
    "aws_route_table": _SETTING,
    "aws_route_table_association": _SETTING,
    "aws_s3_bucket_cors_configuration": _SETTING,
    "aws_s3_bucket_lifecycle_configuration": "expiring and aborting are free",
    "aws_s3_bucket_ownership_controls": _SETTING,
    "aws_s3_bucket_policy": _SETTING,
    "aws_s3_bucket_public_access_block": _SETTING,
    "aws_s3_bucket_server_side_encryption_configuration": "with S3's own keys, which are free",
    "aws_secretsmanager_secret_version": _PART,
    "aws_security_group": _SETTING,
    "aws_sns_topic": "a mail of an alarm costs thousandths of a cent",
    "aws_sns_topic_policy": _SETTING,
    "aws_sns_topic_subscription": "a mail of an alarm costs thousandths of a cent",
    "aws_sqs_queue_policy": _SETTING,
    "aws_sqs_queue_redrive_allow_policy": _SETTING,
    "aws_subnet": _SETTING,
    "aws_vpc": _SETTING,
    "aws_vpc_security_group_egress_rule": _SETTING,
    "aws_vpc_security_group_ingress_rule": _SETTING,
    "terraform_data": "runs on the machine that applies",
}
