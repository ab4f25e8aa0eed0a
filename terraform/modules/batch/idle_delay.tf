# How long a machine waits for another job. The provider has no argument for it yet, so AWS's own command line sets it,
# again whenever the environment or the delay changes, and takes it back (AWS Batch reads 0 as none) where it is no longer
# asked for. An environment that is being updated can be given to no queue and can be neither changed nor destroyed, so
# the queues are there before, and nothing goes on before the update is over.

locals {
  idle_delays = var.idle_minutes == null ? {} : { for key, environment in aws_batch_compute_environment.this : key => environment.arn }

  set_delay = <<-EOT
    set -eu
    aws batch update-compute-environment --cli-input-json "$REQUEST"
    for second in $(seq 120); do
      status=$(aws batch describe-compute-environments --compute-environments "$ENVIRONMENT" --query "computeEnvironments[0].status" --output text)
      [ "$status" = UPDATING ] || exit 0
      sleep 1
    done
    echo "$ENVIRONMENT is still being updated." >&2
    exit 1
  EOT
}

resource "terraform_data" "idle_delay" {
  for_each = local.idle_delays

  # What is done when it is destroyed may read nothing but itself.
  input = {
    command     = local.set_delay
    environment = each.value
    region      = data.aws_region.current.name
    request     = jsonencode({ computeEnvironment = each.value, computeResources = { scalingPolicy = { minScaleDownDelayMinutes = var.idle_minutes } } })
    undo        = jsonencode({ computeEnvironment = each.value, computeResources = { scalingPolicy = { minScaleDownDelayMinutes = 0 } } })
  }
  triggers_replace = [each.value, var.idle_minutes]

  provisioner "local-exec" {
    command     = self.input.command
    environment = { AWS_REGION = self.input.region, ENVIRONMENT = self.input.environment, REQUEST = self.input.request }
  }

  provisioner "local-exec" {
    when        = destroy
    command     = self.input.command
    environment = { AWS_REGION = self.input.region, ENVIRONMENT = self.input.environment, REQUEST = self.input.undo }
  }

  depends_on = [aws_batch_job_queue.this]
}
