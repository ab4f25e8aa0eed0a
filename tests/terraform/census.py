"""What an account holds, asked service by service and not of terraform, which knows only what it remembers."""

from collections.abc import Callable, Iterable
from functools import partial
from typing import Any

Client = Callable[[str], Any]  # by the service's name


def _listed(
    service: str, operation: str, key: str, name: str, **filters: Any
) -> Callable[[Client], Iterable[str]]:
    """Names of what one operation lists, over all of its pages."""

    def ask(client: Client) -> Iterable[str]:
        asked = client(service)
        pages = (
            asked.get_paginator(operation).paginate(**filters)
            if asked.can_paginate(operation)
            else [getattr(asked, operation)(**filters)]
        )
        return [one if not name else one[name] for page in pages for one in page.get(key, ())]

    return ask


def _records(client: Client) -> Iterable[str]:
    route53 = client("route53")
    return [
        f"{record['Name']} {record['Type']}"
        for zone in route53.list_hosted_zones()["HostedZones"]
        for record in route53.list_resource_record_sets(HostedZoneId=zone["Id"])["ResourceRecordSets"]
    ]


def _listeners(client: Client) -> Iterable[str]:
    balancers = client("elbv2").describe_load_balancers()["LoadBalancers"]
    return [
        listener["ListenerArn"]
        for balancer in balancers
        for listener in client("elbv2").describe_listeners(LoadBalancerArn=balancer["LoadBalancerArn"])[
            "Listeners"
        ]
    ]


def _clusters(client: Client) -> Iterable[str]:
    """AWS remembers clusters, and services, that are gone as inactive ones."""
    ecs = client("ecs")
    listed = ecs.list_clusters()["clusterArns"]
    clusters = ecs.describe_clusters(clusters=listed)["clusters"] if listed else ()
    return [one["clusterArn"] for one in clusters if one["status"] != "INACTIVE"]


def _services(client: Client) -> Iterable[str]:
    ecs = client("ecs")
    listed = {cluster: ecs.list_services(cluster=cluster)["serviceArns"] for cluster in _clusters(client)}
    services = [
        service
        for cluster, arns in listed.items()
        if arns
        for service in ecs.describe_services(cluster=cluster, services=arns)["services"]
    ]
    return [one["serviceArn"] for one in services if one["status"] != "INACTIVE"]


def _endpoints(client: Client) -> Iterable[str]:
    """Those that are deleted are told for a while."""
    endpoints = client("ec2").describe_vpc_endpoints()["VpcEndpoints"]
    return [one["VpcEndpointId"] for one in endpoints if one["State"] != "deleted"]


_ec2 = partial(_listed, "ec2")

# Types of terraform's resources -> who is asked for them.
ASKED: dict[str, Callable[[Client], Iterable[str]]] = {
    "aws_acm_certificate": _listed("acm", "list_certificates", "CertificateSummaryList", "CertificateArn"),
    "aws_batch_compute_environment": _listed(
        "batch", "describe_compute_environments", "computeEnvironments", "computeEnvironmentArn"
    ),
    "aws_batch_job_definition": _listed(
        "batch", "describe_job_definitions", "jobDefinitions", "jobDefinitionArn", status="ACTIVE"
    ),
    "aws_batch_job_queue": _listed("batch", "describe_job_queues", "jobQueues", "jobQueueArn"),
    "aws_batch_scheduling_policy": _listed("batch", "list_scheduling_policies", "schedulingPolicies", "arn"),
    "aws_cloudwatch_dashboard": _listed("cloudwatch", "list_dashboards", "DashboardEntries", "DashboardName"),
    "aws_cloudwatch_event_rule": _listed("events", "list_rules", "Rules", "Name"),
    "aws_cloudwatch_log_group": _listed("logs", "describe_log_groups", "logGroups", "logGroupName"),
    "aws_cloudwatch_log_metric_filter": _listed("logs", "describe_metric_filters", "metricFilters", "filterName"),
    "aws_cloudwatch_log_resource_policy": _listed(
        "logs", "describe_resource_policies", "resourcePolicies", "policyName"
    ),
    "aws_cloudwatch_metric_alarm": _listed("cloudwatch", "describe_alarms", "MetricAlarms", "AlarmName"),
    "aws_db_instance": _listed("rds", "describe_db_instances", "DBInstances", "DBInstanceIdentifier"),
    "aws_db_parameter_group": _listed(
        "rds", "describe_db_parameter_groups", "DBParameterGroups", "DBParameterGroupName"
    ),
    "aws_db_subnet_group": _listed("rds", "describe_db_subnet_groups", "DBSubnetGroups", "DBSubnetGroupName"),
    "aws_ecr_repository": _listed("ecr", "describe_repositories", "repositories", "repositoryName"),
    "aws_ecs_cluster": _clusters,
    "aws_ecs_service": _services,
    "aws_ecs_task_definition": _listed("ecs", "list_task_definitions", "taskDefinitionArns", "", status="ACTIVE"),
    "aws_iam_instance_profile": _listed(
        "iam", "list_instance_profiles", "InstanceProfiles", "InstanceProfileName"
    ),
    "aws_iam_openid_connect_provider": _listed(
        "iam", "list_open_id_connect_providers", "OpenIDConnectProviderList", "Arn"
    ),
    "aws_iam_role": _listed("iam", "list_roles", "Roles", "RoleName"),
    "aws_internet_gateway": _ec2("describe_internet_gateways", "InternetGateways", "InternetGatewayId"),
    "aws_lambda_event_source_mapping": _listed(
        "lambda", "list_event_source_mappings", "EventSourceMappings", "UUID"
    ),
    "aws_lambda_function": _listed("lambda", "list_functions", "Functions", "FunctionName"),
    "aws_launch_template": _ec2("describe_launch_templates", "LaunchTemplates", "LaunchTemplateId"),
    "aws_lb": _listed("elbv2", "describe_load_balancers", "LoadBalancers", "LoadBalancerArn"),
    "aws_lb_listener": _listeners,
    "aws_lb_target_group": _listed("elbv2", "describe_target_groups", "TargetGroups", "TargetGroupArn"),
    "aws_route53_record": _records,
    "aws_route_table": _ec2("describe_route_tables", "RouteTables", "RouteTableId"),
    "aws_s3_bucket": _listed("s3", "list_buckets", "Buckets", "Name"),
    "aws_secretsmanager_secret": _listed("secretsmanager", "list_secrets", "SecretList", "ARN"),
    "aws_security_group": _ec2("describe_security_groups", "SecurityGroups", "GroupId"),
    "aws_sns_topic": _listed("sns", "list_topics", "Topics", "TopicArn"),
    "aws_sns_topic_subscription": _listed("sns", "list_subscriptions", "Subscriptions", "SubscriptionArn"),
    "aws_sqs_queue": _listed("sqs", "list_queues", "QueueUrls", ""),
    "aws_subnet": _ec2("describe_subnets", "Subnets", "SubnetId"),
    "aws_vpc": _ec2("describe_vpcs", "Vpcs", "VpcId"),
    "aws_vpc_endpoint": _endpoints,
}

# Types that are a part of another resource, and gone with it: no service knows one without the other.
PART_OF = {
    "aws_acm_certificate_validation": "aws_acm_certificate",
    "aws_cloudwatch_event_target": "aws_cloudwatch_event_rule",
    "aws_default_security_group": "aws_vpc",
    "aws_ecr_lifecycle_policy": "aws_ecr_repository",
    "aws_iam_role_policy": "aws_iam_role",
    "aws_iam_service_linked_role": "aws_iam_role",
    "aws_route": "aws_route_table",
    "aws_route_table_association": "aws_route_table",
    "aws_s3_bucket_cors_configuration": "aws_s3_bucket",
    "aws_s3_bucket_lifecycle_configuration": "aws_s3_bucket",
    "aws_s3_bucket_ownership_controls": "aws_s3_bucket",
    "aws_s3_bucket_policy": "aws_s3_bucket",
    "aws_s3_bucket_public_access_block": "aws_s3_bucket",
    "aws_s3_bucket_server_side_encryption_configuration": "aws_s3_bucket",
    "aws_s3_bucket_versioning": "aws_s3_bucket",
    "aws_secretsmanager_secret_version": "aws_secretsmanager_secret",
    "aws_sns_topic_policy": "aws_sns_topic",
    "aws_sqs_queue_policy": "aws_sqs_queue",
    "aws_vpc_security_group_egress_rule": "aws_security_group",
    "aws_vpc_security_group_ingress_rule": "aws_security_group",
}


def census(client: Client) -> dict[str, set[str]]:
    """By type of terraform's, what is there, whoever made it."""
    return {kind: set(ask(client)) for kind, ask in ASKED.items()}
