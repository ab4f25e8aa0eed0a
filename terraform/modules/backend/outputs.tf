output "url" {
  description = "Where users find the product."
  value       = "https://${var.domain_name}"
}

output "load_balancer_dns_name" {
  description = "Where the domain must point, if its zone is not ours."
  value       = aws_lb.this.dns_name
}

output "run_task_arguments" {
  description = "Arguments of `aws ecs run-task --cli-input-json` that migrate the database; with another command, any of `manage.py`."
  value = jsonencode({
    cluster              = aws_ecs_cluster.this.name
    launchType           = "FARGATE"
    taskDefinition       = aws_ecs_task_definition.this["migrate"].family
    networkConfiguration = { awsvpcConfiguration = local.network_configuration }
  })
}

output "environments" {
  description = "Environment of each program, without the secrets."
  value       = local.environments
}

output "cluster_name" {
  description = "Name of the cluster, as its metrics name it."
  value       = aws_ecs_cluster.this.name
}

output "load_balancer_suffix" {
  description = "The load balancer, as its metrics name it."
  value       = aws_lb.this.arn_suffix
}

output "log_groups" {
  description = "What the API, the worker and the migration say."
  value       = { for name, group in aws_cloudwatch_log_group.this : name => group.name }
}

output "role_names" {
  description = "Roles by part: execution, api, worker."
  value       = merge({ execution = aws_iam_role.execution.name }, { for name, role in aws_iam_role.task : name => role.name })
}
