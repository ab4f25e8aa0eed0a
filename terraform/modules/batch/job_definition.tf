# The contract's job definition, as `make terraform-inputs` renders it, with what is this environment's own.

locals {
  definition = local.contract.job_definition

  resources = concat(
    [
      { type = "VCPU", value = tostring(var.job.vcpus) },
      { type = "MEMORY", value = tostring(var.job.memory_mib) },
    ],
    var.job.gpus > 0 ? [{ type = "GPU", value = tostring(var.job.gpus) }] : [],
  )

  # Where a machine lays the authorities' certificates out: what a job may read there, it cannot change.
  database_ca = "${one([for mount in local.definition.containerProperties.mountPoints : mount.containerPath if mount.sourceVolume == "runtime"])}/database-ca.pem"

  environment = merge(var.environment, {
    AWS_DEFAULT_REGION = data.aws_region.current.name
    DATABASE_URL       = "${var.database_url}&sslrootcert=${local.database_ca}"
    MEDIA_BUCKET       = var.bucket
    TMPDIR             = one([for mount in local.definition.containerProperties.mountPoints : mount.containerPath if !mount.readOnly])
  })
}

resource "aws_cloudwatch_log_group" "jobs" {
  name              = "/${var.name}/jobs"
  retention_in_days = var.log_retention_days
}

resource "aws_batch_job_definition" "analysis" {
  name                  = "${var.name}-analysis"
  type                  = local.definition.type
  platform_capabilities = local.definition.platformCapabilities
  propagate_tags        = local.definition.propagateTags

  # Earlier revisions stay, for `make release ROLLBACK=1` to go back to.
  deregister_on_new_revision = false

  container_properties = jsonencode(merge(local.definition.containerProperties, {
    image                = var.image
    environment          = [for name in sort(keys(local.environment)) : { name = name, value = local.environment[name] }]
    secrets              = [{ name = "PGPASSWORD", valueFrom = var.database_password_secret_arn }]
    resourceRequirements = local.resources
    jobRoleArn           = aws_iam_role.job.arn
    executionRoleArn     = aws_iam_role.execution.arn
    logConfiguration = {
      logDriver     = "awslogs"
      options       = { awslogs-group = aws_cloudwatch_log_group.jobs.name, awslogs-stream-prefix = "analysis" }
      secretOptions = []
    }
  }))

  retry_strategy {
    attempts = local.definition.retryStrategy.attempts

    dynamic "evaluate_on_exit" {
      for_each = local.definition.retryStrategy.evaluateOnExit

      content {
        action           = evaluate_on_exit.value.action
        on_exit_code     = try(evaluate_on_exit.value.onExitCode, null)
        on_reason        = try(evaluate_on_exit.value.onReason, null)
        on_status_reason = try(evaluate_on_exit.value.onStatusReason, null)
      }
    }
  }

  timeout {
    attempt_duration_seconds = var.job.timeout_seconds
  }
}
