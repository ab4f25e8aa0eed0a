# Once for each account and region, before any environment: where images wait, where states lie, and the roles that AWS's
# services take for themselves.

data "aws_caller_identity" "current" {}

module "registry" {
  source = "../modules/registry"

  name         = "framebatch"
  keep_images  = var.keep_images
  force_delete = var.force_delete
}

resource "aws_s3_bucket" "states" {
  bucket        = "framebatch-terraform-${data.aws_caller_identity.current.account_id}-${var.region}"
  force_destroy = var.force_delete
}

# A state that was overwritten by mistake can be had back.
resource "aws_s3_bucket_versioning" "states" {
  bucket = aws_s3_bucket.states.id

  versioning_configuration {
    status = "Enabled"
  }
}

resource "aws_s3_bucket_server_side_encryption_configuration" "states" {
  bucket = aws_s3_bucket.states.id

  rule {
    apply_server_side_encryption_by_default {
      sse_algorithm = "AES256"
    }
  }
}

resource "aws_s3_bucket_public_access_block" "states" {
  bucket                  = aws_s3_bucket.states.id
  block_public_acls       = true
  block_public_policy     = true
  ignore_public_acls      = true
  restrict_public_buckets = true
}

# What GitHub's workflows may do, where the repository lies there.
module "github" {
  source = "../modules/github"
  count  = var.github == null ? 0 : 1

  name                    = var.github.released_environment
  repository              = var.github.repository
  provider_arn            = var.github.provider_arn
  analysis_repository_arn = module.registry.repository_arns["analysis"]
  bake_clip_arn           = var.github.bake_clip_arn
  bake_machine_role_arn   = var.github.bake_machine_role_arn
}

# An account that has used a service before has its role already, which AWS makes no second time. Those that are made here
# carry the tag of all that is.
data "aws_iam_roles" "of_service" {
  for_each = toset(["batch", "spot"])

  path_prefix = "/aws-service-role/${each.key}.amazonaws.com/"
}

data "aws_iam_role" "of_service" {
  for_each = { for service, roles in data.aws_iam_roles.of_service : service => one(roles.names) if length(roles.names) > 0 }

  name = each.value
}

locals {
  roles_there_before = [for service, role in data.aws_iam_role.of_service : service if try(role.tags["Project"], "") != "framebatch"]
}

resource "aws_iam_service_linked_role" "this" {
  for_each = var.missing_service_roles

  aws_service_name = "${each.key}.amazonaws.com"
}
