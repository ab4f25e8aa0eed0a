# Who may act from GitHub's workflows: one role that releases the job's code, and one that bakes machine images. Each is taken
# by one environment of one repository alone, whose reviewers and branches GitHub keeps; no key of AWS lies there.

data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  issuer       = "token.actions.githubusercontent.com"
  provider_arn = var.provider_arn == null ? aws_iam_openid_connect_provider.github[0].arn : var.provider_arn
  place        = "${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}"
  ec2          = "arn:aws:ec2:${local.place}"
  environments = { release = var.release_environment, bake = var.bake_environment }
}

# An account has one for all of its repositories.
resource "aws_iam_openid_connect_provider" "github" {
  count = var.provider_arn == null ? 1 : 0

  url            = "https://${local.issuer}"
  client_id_list = ["sts.amazonaws.com"]
}

data "aws_iam_policy_document" "trust" {
  for_each = local.environments

  statement {
    actions = ["sts:AssumeRoleWithWebIdentity"]

    principals {
      type        = "Federated"
      identifiers = [local.provider_arn]
    }

    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:aud"
      values   = ["sts.amazonaws.com"]
    }

    # A job that names no environment, or is another repository's or a fork's, has another subject. The ids in the repository's
    # are its own for good: whoever takes a name that became free does not get them.
    condition {
      test     = "StringEquals"
      variable = "${local.issuer}:sub"
      values   = ["repo:${var.repository}:environment:${each.value}"]
    }
  }
}

resource "aws_iam_role" "this" {
  for_each = { release = "Releases the job's code from GitHub.", bake = "Bakes machine images from GitHub." }

  name                 = "${var.name}-github-${each.key}"
  description          = each.value
  assume_role_policy   = data.aws_iam_policy_document.trust[each.key].json
  max_session_duration = 3600 # credentials are asked for anew
}
