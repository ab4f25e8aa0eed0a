# How long a machine waits for another job. The provider has no argument for it yet, so AWS's own command line sets it,
# again whenever the environment or the delay changes.
resource "terraform_data" "idle_delay" {
  for_each = var.idle_minutes == null ? {} : aws_batch_compute_environment.this

  triggers_replace = [each.value.arn, var.idle_minutes]

  provisioner "local-exec" {
    command = "aws batch update-compute-environment --cli-input-json \"$REQUEST\""

    environment = {
      AWS_REGION = data.aws_region.current.name
      REQUEST = jsonencode({
        computeEnvironment = each.value.arn
        computeResources   = { scalingPolicy = { minScaleDownDelayMinutes = var.idle_minutes } }
      })
    }
  }
}
