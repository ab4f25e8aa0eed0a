# As release.yml and tools/release.py call: push an image, try it under a name of its own, register it, or take it back.

locals {
  definition  = "arn:aws:batch:${local.place}:job-definition/${var.name}-analysis"
  definitions = [local.definition, "${local.definition}-candidate"]
}

data "aws_iam_policy_document" "release" {
  # AWS knows no resource for it.
  statement {
    sid       = "SignInToRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid = "PushImage"
    actions = [
      "ecr:BatchCheckLayerAvailability",
      "ecr:BatchGetImage",
      "ecr:CompleteLayerUpload",
      "ecr:InitiateLayerUpload",
      "ecr:PutImage",
      "ecr:UploadLayerPart",
    ]
    resources = [var.analysis_repository_arn]
  }

  statement {
    sid       = "ReadPublishedImages"
    actions   = ["ssm:GetParametersByPath"]
    resources = ["arn:aws:ssm:${local.place}:parameter/framebatch/runtime"]
  }

  # AWS knows no resource for either.
  statement {
    sid       = "SeeDefinitionsAndJobs"
    actions   = ["batch:DescribeJobDefinitions", "batch:DescribeJobs"]
    resources = ["*"]
  }

  statement {
    sid       = "RegisterDefinitions"
    actions   = ["batch:RegisterJobDefinition"]
    resources = local.definitions
  }

  # A revision carries the tags of the one before. It has no number before it is there: AWS may ask for the definition or
  # for the revision.
  statement {
    sid       = "TagDefinitions"
    actions   = ["batch:TagResource"]
    resources = concat(local.definitions, [for definition in local.definitions : "${definition}:*"])
  }

  statement {
    sid       = "TakeBackDefinitions"
    actions   = ["batch:DeregisterJobDefinition"] # of any revision
    resources = [for definition in local.definitions : "${definition}:*"]
  }

  # And not of the definition that users' jobs start from.
  statement {
    sid       = "TryCandidate"
    actions   = ["batch:SubmitJob"]
    resources = ["arn:aws:batch:${local.place}:job-queue/${var.name}", "${local.definition}-candidate:*"]
  }

  # Jobs have ids that nobody knows before.
  statement {
    sid       = "EndTrial"
    actions   = ["batch:TerminateJob"]
    resources = ["arn:aws:batch:${local.place}:job/*"]
  }

  # Those that the definition has, for containers and for nothing else.
  statement {
    sid       = "GiveJobsTheirRoles"
    actions   = ["iam:PassRole"]
    resources = [for role in ["job", "job-execution"] : "arn:aws:iam::${data.aws_caller_identity.current.account_id}:role/${var.name}-${role}"]

    condition {
      test     = "StringEquals"
      variable = "iam:PassedToService"
      values   = ["ecs-tasks.amazonaws.com"]
    }
  }
}

resource "aws_iam_role_policy" "release" {
  name   = "release"
  role   = aws_iam_role.this["release"].id
  policy = data.aws_iam_policy_document.release.json
}
