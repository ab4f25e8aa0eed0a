# What always runs: the API, whose tasks autoscaling counts, and the worker, whose tasks `sizes` counts alone.

resource "aws_ecs_service" "api" {
  name            = "api"
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.this["api"].arn
  desired_count   = var.sizes.api.tasks
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"

  health_check_grace_period_seconds = 60

  # A new version that does not start takes nothing away from the old one.
  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = local.network_configuration.subnets
    security_groups  = local.network_configuration.securityGroups
    assign_public_ip = var.public_addresses
  }

  load_balancer {
    target_group_arn = aws_lb_target_group.api.arn
    container_name   = "api"
    container_port   = var.port
  }

  lifecycle {
    ignore_changes = [desired_count] # autoscaling's
  }

  depends_on = [
    aws_lb_listener.https,
    aws_iam_role_policy.execution,
    aws_secretsmanager_secret_version.secret_key,
  ]
}

resource "aws_ecs_service" "worker" {
  name            = "worker"
  cluster         = aws_ecs_cluster.this.id
  task_definition = aws_ecs_task_definition.this["worker"].arn
  desired_count   = var.sizes.worker.tasks
  launch_type     = "FARGATE"
  propagate_tags  = "SERVICE"

  deployment_circuit_breaker {
    enable   = true
    rollback = true
  }

  network_configuration {
    subnets          = local.network_configuration.subnets
    security_groups  = local.network_configuration.securityGroups
    assign_public_ip = var.public_addresses
  }

  depends_on = [
    aws_iam_role_policy.execution,
    aws_secretsmanager_secret_version.secret_key,
  ]
}

# As they were called while one rule held for both.
moved {
  from = aws_ecs_service.this["api"]
  to   = aws_ecs_service.api
}

moved {
  from = aws_ecs_service.this["worker"]
  to   = aws_ecs_service.worker
}
