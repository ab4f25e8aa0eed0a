# The API and its worker on Fargate: one image, a service each, and a task that migrates the database.

data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

# ECS starts no container without its secrets, and says so to nobody who applies. What they hold is not read.
data "aws_secretsmanager_secret" "mail" {
  count = var.mail_url_secret_arn == null ? 0 : 1

  arn = var.mail_url_secret_arn

  lifecycle {
    postcondition {
      condition     = self.kms_key_id == "" || endswith(self.kms_key_id, "alias/aws/secretsmanager")
      error_message = "The secret of mail_url_secret_arn, ${self.name}, must be encrypted with Secrets Manager's own key: with ${self.kms_key_id} the API's containers cannot read it. Make it anew without --kms-key-id."
    }
  }
}

data "aws_secretsmanager_secret_versions" "mail" {
  count = length(data.aws_secretsmanager_secret.mail)

  secret_id = data.aws_secretsmanager_secret.mail[0].arn

  lifecycle {
    postcondition {
      condition     = try(length(self.versions), 0) > 0
      error_message = "The secret of mail_url_secret_arn, ${data.aws_secretsmanager_secret.mail[0].name}, has no value: `aws secretsmanager put-secret-value` gives it one, such as smtps://user:password@mail.example.org/no-reply@example.org."
    }
  }
}

# Which models the published machine image has. Read here, so that a new image gives the backend a new revision.
data "aws_ssm_parameter" "manifest" {
  name = "/framebatch/runtime/${local.contract.runtime_abi}/${var.image_family}/manifest"
}

locals {
  registry      = "${data.aws_caller_identity.current.account_id}.dkr.ecr.${data.aws_region.current.name}.amazonaws.com/"
  contract      = jsondecode(file("${path.module}/../../contract.json"))
  settings      = local.contract.backend_settings
  manifest_path = "/tmp/manifest.json"
  database_ca   = "/tmp/database-ca.pem"
  heartbeat     = "/tmp/heartbeat" # a file that the worker touches every second, as long as no loop hangs

  # What a task lays out as files before its program starts.
  files = { MANIFEST = local.manifest_path, DATABASE_CA = local.database_ca }

  common_environment = merge(var.environment, {
    ALLOWED_HOSTS           = var.domain_name
    CSRF_TRUSTED_ORIGINS    = "https://${var.domain_name}"
    AWS_DEFAULT_REGION      = data.aws_region.current.name
    DATABASE_URL            = "${var.database_url}&sslrootcert=${local.database_ca}"
    DATABASE_CA             = var.database_ca
    MEDIA_BUCKET            = var.bucket
    REQUESTS_QUEUE_URL      = var.requests_queue_url
    DEAD_REQUESTS_QUEUE_URL = var.dead_requests_queue_url
    JOB_EVENTS_QUEUE_URL    = var.job_events_queue_url
    RUNTIME_MANIFEST        = local.manifest_path
    MANIFEST                = nonsensitive(data.aws_ssm_parameter.manifest.value)
    WEBHOOK_PORTS           = join(",", sort(var.webhook_ports))
    # The worker's own part is half a gibibyte; a look at an upload may take the rest, and is ended before the task is.
    PROBE_MEMORY_MIB = tostring(min(2048, var.sizes.worker.memory_mib - 512))
  })

  environments = {
    for name in keys(local.programs) :
    name => merge(local.common_environment, name == "worker" ? { WORKER_HEARTBEAT = local.heartbeat } : {})
  }

  # The API alone sends mail.
  mail_secret = var.mail_url_secret_arn == null ? {} : { MAIL_URL = var.mail_url_secret_arn }
  secrets = {
    for name in keys(local.programs) :
    name => merge(
      { PGPASSWORD = var.database_password_secret_arn, SECRET_KEY = aws_secretsmanager_secret.secret_key.arn },
      name == "api" ? local.mail_secret : {},
    )
  }
  secret_arns = concat(
    [var.database_password_secret_arn, aws_secretsmanager_secret.secret_key.arn],
    values(local.mail_secret),
  )

  # Of the addresses that a request passed, those of the load balancer's subnets are believed: the last one before them is
  # the user's, whatever a user writes in front of it. A connection stays open for longer than the load balancer keeps it,
  # or it would be closed while a request is on its way.
  programs = {
    api = [
      "python", "-m", "uvicorn", "backend.config.asgi:application", "--host", "0.0.0.0", "--port", tostring(var.port),
      "--proxy-headers", "--forwarded-allow-ips", join(",", var.load_balancer_cidrs),
      "--timeout-keep-alive", "125", "--timeout-graceful-shutdown", "30",
    ]
    worker  = ["python", "-m", "backend.manage", "run_worker"]
    migrate = ["python", "-m", "backend.manage", "migrate", "--no-input"]
  }
  # The tables of a new image are made before its code serves.
  images = { for name in keys(local.programs) : name => name == "migrate" ? coalesce(var.migrate_image, var.image) : var.image }
  sizes  = merge(var.sizes, { migrate = { cpu = 256, memory_mib = 512 } })

  network_configuration = {
    subnets        = var.subnet_ids
    securityGroups = [var.security_group_id]
    assignPublicIp = var.public_addresses ? "ENABLED" : "DISABLED"
  }
}

resource "aws_secretsmanager_secret" "secret_key" {
  name                    = "${var.name}/secret-key"
  description             = "Django's key, which signs sessions."
  recovery_window_in_days = var.deletion_protection ? 30 : 0
}

resource "aws_secretsmanager_secret_version" "secret_key" {
  secret_id                = aws_secretsmanager_secret.secret_key.id
  secret_string_wo         = local.new_secret_key
  secret_string_wo_version = var.secret_key_version
}

resource "aws_cloudwatch_log_group" "this" {
  for_each = local.programs

  name              = "/${var.name}/${each.key}"
  retention_in_days = var.log_retention_days
}

resource "aws_ecs_cluster" "this" {
  name = var.name

  setting {
    name  = "containerInsights"
    value = var.container_insights ? "enabled" : "disabled"
  }
}

resource "aws_ecs_task_definition" "this" {
  for_each = local.programs

  family                   = "${var.name}-${each.key}"
  requires_compatibilities = ["FARGATE"]
  network_mode             = "awsvpc"
  cpu                      = local.sizes[each.key].cpu
  memory                   = local.sizes[each.key].memory_mib
  execution_role_arn       = aws_iam_role.execution.arn
  task_role_arn            = try(aws_iam_role.task[each.key].arn, null) # migrating calls no service of AWS

  container_definitions = jsonencode([{
    name         = each.key
    image        = local.images[each.key]
    essential    = true
    entryPoint   = ["sh", "-c", "${join(" && ", [for name, path in local.files : format("printf '%%s\\n' \"$%s\" > %s", name, path)])} && exec \"$@\"", "sh"]
    command      = each.value
    environment  = [for name in sort(keys(local.environments[each.key])) : { name = name, value = local.environments[each.key][name] }]
    secrets      = [for name, arn in local.secrets[each.key] : { name = name, valueFrom = arn }]
    portMappings = each.key == "api" ? [{ containerPort = var.port, hostPort = var.port, protocol = "tcp" }] : []
    stopTimeout  = 60
    healthCheck = each.key != "worker" ? null : {
      command     = ["CMD-SHELL", "test $(($(date +%s) - $(stat -c %Y ${local.heartbeat}))) -lt 30"]
      interval    = 30
      timeout     = 5
      retries     = 3
      startPeriod = 60
    }
    logConfiguration = {
      logDriver = "awslogs"
      options = {
        awslogs-group         = aws_cloudwatch_log_group.this[each.key].name
        awslogs-region        = data.aws_region.current.name
        awslogs-stream-prefix = each.key
      }
    }
  }])
}
