# A role for what starts the containers, and one each for the API and the worker.

locals {
  # One, unless the image that migrates comes from another.
  repositories = distinct([for image in values(local.images) : regex("/([^:@]+)", image)[0]])
}

data "aws_iam_policy_document" "assume" {
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

resource "aws_iam_role" "execution" {
  name               = "${var.name}-backend-execution"
  description        = "Starts the backend's containers."
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

data "aws_iam_policy_document" "execution" {
  statement {
    sid       = "ReadSecrets"
    actions   = ["secretsmanager:GetSecretValue"]
    resources = local.secret_arns
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = [for group in aws_cloudwatch_log_group.this : "${group.arn}:*"]
  }

  # AWS knows no resource for it.
  statement {
    sid       = "SignInToRegistry"
    actions   = ["ecr:GetAuthorizationToken"]
    resources = ["*"]
  }

  statement {
    sid       = "PullImage"
    actions   = ["ecr:BatchCheckLayerAvailability", "ecr:BatchGetImage", "ecr:GetDownloadUrlForLayer"]
    resources = [for repository in local.repositories : "arn:aws:ecr:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:repository/${repository}"]
  }
}

resource "aws_iam_role_policy" "execution" {
  name   = "execution"
  role   = aws_iam_role.execution.id
  policy = data.aws_iam_policy_document.execution.json
}

resource "aws_iam_role" "task" {
  for_each = { api = "The API.", worker = "The worker." }

  name               = "${var.name}-${each.key}"
  description        = each.value
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

data "aws_iam_policy_document" "api" {
  # URLs for browsers are signed with this role, and grant what it may do.
  statement {
    sid       = "TakeUploads"
    actions   = ["s3:PutObject", "s3:GetObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"]
    resources = ["${var.bucket_arn}/${local.contract.prefixes.uploads}*"]
  }

  statement {
    sid       = "ShowResults"
    actions   = ["s3:GetObject"]
    resources = ["${var.bucket_arn}/${local.contract.prefixes.analyses}*"]
  }

  # Without it S3 says of a video that is not there that it may not be read.
  statement {
    sid       = "TellMissingFromForbidden"
    actions   = ["s3:ListBucket"]
    resources = [var.bucket_arn]
  }
}

data "aws_iam_policy_document" "worker" {
  statement {
    sid       = "SendRequests"
    actions   = ["sqs:SendMessage"]
    resources = [var.requests_queue_arn]
  }

  statement {
    sid       = "ReadEventsAndDeadLetters"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:ChangeMessageVisibility"]
    resources = [var.job_events_queue_arn, var.dead_requests_queue_arn]
  }

  # Jobs have ids that nobody knows before; AWS Batch tells one's own from others by the account alone.
  statement {
    sid       = "EndJobs"
    actions   = ["batch:TerminateJob"]
    resources = ["arn:aws:batch:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:job/*"]
  }

  # AWS knows no resource for it.
  statement {
    sid       = "AskForJobs"
    actions   = ["batch:DescribeJobs"]
    resources = ["*"]
  }

  # Puts parts together, looks at what was uploaded, and removes what nobody finished.
  statement {
    sid = "KeepUploads"
    actions = [
      "s3:GetObject", "s3:PutObject", "s3:DeleteObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts",
    ]
    resources = ["${var.bucket_arn}/${local.contract.prefixes.uploads}*"]
  }

  statement {
    sid       = "FindWhatIsToBeDeleted"
    actions   = ["s3:ListBucket"]
    resources = [var.bucket_arn]
  }

  statement {
    sid       = "DeleteResults"
    actions   = ["s3:DeleteObject"]
    resources = ["${var.bucket_arn}/${local.contract.prefixes.analyses}*"]
  }
}

resource "aws_iam_role_policy" "api" {
  name   = "api"
  role   = aws_iam_role.task["api"].id
  policy = data.aws_iam_policy_document.api.json
}

resource "aws_iam_role_policy" "worker" {
  name   = "worker"
  role   = aws_iam_role.task["worker"].id
  policy = data.aws_iam_policy_document.worker.json
}
