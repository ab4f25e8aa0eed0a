# Three roles: the machine's, which joins a cluster; the one that starts a container; and the job's own.

locals {
  repository_arn = "arn:aws:ecr:${local.account}:repository/${regex("/([^:@]+)", var.image)[0]}"
}

data "aws_iam_policy_document" "machine_assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ec2.amazonaws.com"]
    }
  }
}

data "aws_iam_policy_document" "task_assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["ecs-tasks.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }
}

resource "aws_iam_role" "machine" {
  name               = "${var.name}-job-machine"
  description        = "Machines that AWS Batch starts."
  assume_role_policy = data.aws_iam_policy_document.machine_assume.json
}

resource "aws_iam_instance_profile" "machine" {
  name = aws_iam_role.machine.name
  role = aws_iam_role.machine.name
}

data "aws_iam_policy_document" "machine" {
  # AWS Batch makes the clusters of its environments, under names of its own choice. Attachments are told of where the
  # account has awsvpcTrunking on: each machine then gets an interface as it joins. Leaving is AWS Batch's, so that nobody who
  # breaks out of a job takes machines, of whatever cluster, away.
  statement {
    sid = "JoinCluster"
    actions = [
      "ecs:RegisterContainerInstance",
      "ecs:SubmitAttachmentStateChanges",
      "ecs:SubmitContainerStateChange",
      "ecs:SubmitTaskStateChange",
    ]
    resources = ["arn:aws:ecs:${local.account}:cluster/*"]
  }

  # Nor is a machine's id within its cluster known before.
  statement {
    sid       = "HearFromCluster"
    actions   = ["ecs:Poll", "ecs:StartTelemetrySession", "ecs:UpdateContainerInstancesState"]
    resources = ["arn:aws:ecs:${local.account}:container-instance/*"]
  }

  # AWS knows no resource for either.
  statement {
    sid       = "FindCluster"
    actions   = ["ecs:DiscoverPollEndpoint", "ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid       = "PullImage"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [local.repository_arn]
  }
}

resource "aws_iam_role_policy" "machine" {
  name   = "machine"
  role   = aws_iam_role.machine.id
  policy = data.aws_iam_policy_document.machine.json
}

resource "aws_iam_role" "execution" {
  name               = "${var.name}-job-execution"
  description        = "Starts the containers of jobs."
  assume_role_policy = data.aws_iam_policy_document.task_assume.json
}

data "aws_iam_policy_document" "execution" {
  statement {
    sid       = "ReadPassword"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = [var.database_password_secret_arn]
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.jobs.arn}:*"]
  }

  # AWS knows no resource for it. Whether a machine pulls with this role or with its own, ECS tells it for each task, and AWS's
  # guides name the one or the other: so both may.
  statement {
    sid       = "SignInToRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid       = "PullImage"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [local.repository_arn]
  }
}

resource "aws_iam_role_policy" "execution" {
  name   = "execution"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

resource "aws_iam_role" "job" {
  name               = "${var.name}-job"
  description        = "The analyser."
  assume_role_policy = data.aws_iam_policy_document.task_assume.json
}

data "aws_iam_policy_document" "job" {
  statement {
    sid       = "ReadVideos"
    actions   = ["s3:GetObject"]
    resources = ["${var.bucket_arn}/${local.contract.prefixes.uploads}*"]
  }

  # Without it S3 says of a video that is gone that it may not be read.
  statement {
    sid       = "TellMissingFromForbidden"
    actions   = ["s3:ListBucket"]
    resources = [var.bucket_arn]
  }

  statement {
    sid       = "StoreResults"
    actions   = ["s3:PutObject", "s3:AbortMultipartUpload"]
    resources = ["${var.bucket_arn}/${local.contract.prefixes.analyses}*"]
  }
}

resource "aws_iam_role_policy" "job" {
  name   = "job"
  role   = aws_iam_role.job.id
  policy = data.aws_iam_policy_document.job.json
}
