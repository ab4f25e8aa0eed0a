# Where jobs run: Spot machines that come for a job and leave after it, On-Demand machines for when Spot will not come.

data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

# What Packer has published for the ABI that this code was written for; without it there is nothing to run jobs on.
data "aws_ssm_parameters_by_path" "published" {
  path      = "/framebatch/runtime/${local.contract.runtime_abi}"
  recursive = true

  lifecycle {
    postcondition {
      condition     = contains([for name in self.names : split("/", name)[4] if endswith(name, "/image-id")], var.image_family)
      error_message = "No machine image for the image_family ${var.image_family} and ABI ${local.contract.runtime_abi} is published in this region, ${length(self.names) == 0 ? "nor for any other family" : "but for ${join(", ", distinct([for name in self.names : split("/", name)[4]]))}"}: bake and publish one, as docs/images.md says, or let image_family and instance_types be others."
    }
  }
}

data "aws_ssm_parameter" "image_id" {
  name = "${data.aws_ssm_parameters_by_path.published.path}/${var.image_family}/image-id"
}

data "aws_ami" "published" {
  # Whoever bakes it, maybe another account: its id says enough.
  filter {
    name   = "image-id"
    values = [data.aws_ssm_parameter.image_id.value]
  }
}

# What AWS has where the subnets are, which no table of ours could keep up with.
data "aws_ec2_instance_type_offerings" "here" {
  location_type = "availability-zone"

  filter {
    name   = "location"
    values = var.availability_zones
  }
}

locals {
  contract = jsondecode(file("${path.module}/../../contract.json"))
  account  = "${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}"
  registry = "${data.aws_caller_identity.current.account_id}.dkr.ecr.${data.aws_region.current.name}.amazonaws.com/"

  settings = local.contract.job_settings

  root_device = "/dev/xvda"
  image_gib   = [for device in data.aws_ami.published.block_device_mappings : tonumber(device.ebs.volume_size) if device.device_name == local.root_device]

  # Types, and the families that have any.
  offered = distinct(flatten([for type in data.aws_ec2_instance_type_offerings.here.instance_types : [type, split(".", type)[0]]]))

  environments = {
    spot      = { type = "SPOT", allocation = "SPOT_PRICE_CAPACITY_OPTIMIZED", max_vcpus = var.spot_max_vcpus }
    on-demand = { type = "EC2", allocation = "BEST_FIT_PROGRESSIVE", max_vcpus = var.on_demand_max_vcpus }
  }

  # Fair share orders the jobs of one queue; between queues on the same machines only the queues' priority does.
  queues = {
    standard             = { environment = "spot", priority = 1 }
    enterprise           = { environment = "spot", priority = 10 }
    on-demand            = { environment = "on-demand", priority = 1 }
    on-demand-enterprise = { environment = "on-demand", priority = 10 }
  }
  queue_names = { for key, queue in local.queues : key => key == "standard" ? var.name : "${var.name}-${key}" }
}

resource "aws_launch_template" "this" {
  name_prefix            = "${var.name}-jobs-"
  description            = "The machine image of ABI ${local.contract.runtime_abi} for ${var.image_family}, with its volume encrypted and filled at a rate that is paid for."
  image_id               = nonsensitive(data.aws_ssm_parameter.image_id.value)
  update_default_version = true

  metadata_options {
    http_endpoint = "enabled"
    http_tokens   = "required" # IMDSv2
    # A job of Batch on EC2 is in the machine's own network and reaches this, which its receipt needs (machine type,
    # Spot or not); the machine's role therefore holds no more than the ECS agent needs. Nothing a hop away does.
    http_put_response_hop_limit = 1
  }

  block_device_mappings {
    device_name = local.root_device

    ebs {
      volume_type                = "gp3"
      volume_size                = var.volume_gib
      throughput                 = 250
      iops                       = 3000
      encrypted                  = true
      delete_on_termination      = true
      volume_initialization_rate = var.volume_initialization_rate
    }
  }

  # AWS Batch joins this with its own. On a Spot notice the job gets SIGTERM, and until the machine is gone to end well.
  # The agent starts behind this, so that no job comes before the certificates lie there.
  user_data = base64encode(<<-EOT
    MIME-Version: 1.0
    Content-Type: multipart/mixed; boundary="==FRAMEBATCH=="

    --==FRAMEBATCH==
    Content-Type: text/x-shellscript; charset="us-ascii"

    #!/bin/bash
    echo ECS_ENABLE_SPOT_INSTANCE_DRAINING=true >> /etc/ecs/ecs.config
    echo ECS_CONTAINER_STOP_TIMEOUT=90s >> /etc/ecs/ecs.config
    echo ECS_IMAGE_PULL_BEHAVIOR=prefer-cached >> /etc/ecs/ecs.config
    cat > ${local.database_ca} <<'CERTIFICATES'
    ${trimspace(var.database_ca)}
    CERTIFICATES

    --==FRAMEBATCH==--
  EOT
  )

  lifecycle {
    create_before_destroy = true
  }
}

resource "aws_batch_compute_environment" "this" {
  for_each = local.environments

  compute_environment_name_prefix = "${var.name}-${each.key}-"
  type                            = "MANAGED"
  # AWS Batch's own role: with another one it could not replace machines when the image changes.
  service_role = "arn:aws:iam::${data.aws_caller_identity.current.account_id}:role/aws-service-role/batch.amazonaws.com/AWSServiceRoleForBatch"

  compute_resources {
    type                = each.value.type
    allocation_strategy = each.value.allocation
    min_vcpus           = 0
    max_vcpus           = each.value.max_vcpus
    instance_type       = var.instance_types
    instance_role       = aws_iam_instance_profile.machine.arn
    subnets             = var.subnet_ids
    security_group_ids  = [var.security_group_id]
    tags                = { Name = "${var.name}-${each.key}" }

    ec2_configuration {
      image_type = var.job.gpus > 0 ? "ECS_AL2023_NVIDIA" : "ECS_AL2023"
    }

    launch_template {
      launch_template_id = aws_launch_template.this.id
      version            = aws_launch_template.this.latest_version
    }
  }

  update_policy {
    job_execution_timeout_minutes = 360 # the most that AWS Batch allows: an attempt may last its whole timeout_seconds
    terminate_jobs_on_update      = false
  }

  lifecycle {
    create_before_destroy = true
  }

  # While an environment is destroyed, its machines still tell with the role how their tasks end.
  depends_on = [aws_iam_role_policy.machine]
}

resource "aws_batch_scheduling_policy" "plans" {
  name = "${var.name}-plans"

  fair_share_policy {
    share_decay_seconds = 3600

    dynamic "share_distribution" {
      for_each = local.contract.shares

      content {
        share_identifier = share_distribution.value.identifier
        weight_factor    = share_distribution.value.weight_factor
      }
    }
  }
}

resource "aws_batch_job_queue" "this" {
  for_each = local.queues

  name                  = local.queue_names[each.key]
  state                 = "ENABLED"
  priority              = each.value.priority
  scheduling_policy_arn = aws_batch_scheduling_policy.plans.arn

  compute_environment_order {
    order               = 1
    compute_environment = aws_batch_compute_environment.this[each.value.environment].arn
  }

  # A job that will never start is ended with the reason as its own; its end is an event like any other.
  dynamic "job_state_time_limit_action" {
    for_each = [
      "CAPACITY:INSUFFICIENT_INSTANCE_CAPACITY",
      "MISCONFIGURATION:COMPUTE_ENVIRONMENT_MAX_RESOURCE",
      "MISCONFIGURATION:JOB_RESOURCE_REQUIREMENT",
    ]

    content {
      state            = "RUNNABLE"
      reason           = job_state_time_limit_action.value
      action           = "CANCEL"
      max_time_seconds = var.runnable_limit_seconds
    }
  }
}
