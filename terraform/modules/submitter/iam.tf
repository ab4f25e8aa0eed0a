data "aws_iam_policy_document" "assume" {
  statement {
    actions = ["sts:AssumeRole"]

    principals {
      type        = "Service"
      identifiers = ["lambda.amazonaws.com"]
    }
  }
}

resource "aws_iam_role" "this" {
  name               = local.function
  description        = "The Lambda that submits jobs."
  assume_role_policy = data.aws_iam_policy_document.assume.json
}

data "aws_iam_policy_document" "this" {
  statement {
    sid       = "ReadRequests"
    actions   = ["sqs:ReceiveMessage", "sqs:DeleteMessage", "sqs:GetQueueAttributes"]
    resources = [var.requests_queue_arn]
  }

  statement {
    sid       = "TellOfRefusals"
    actions   = ["sqs:SendMessage"]
    resources = [var.job_events_queue_arn]
  }

  statement {
    sid = "SubmitAnalyses"
    # SubmitJob tags the job, which has no name yet: AWS asks for the right to tag where it asks for the right to submit, and
    # refuses with "not authorized to perform: batch:TagResource on resource: ...job-definition/...".
    actions = ["batch:SubmitJob", "batch:TagResource"]
    # A definition with its revisions: the function names the newest.
    resources = concat(var.job_queue_arns, [var.job_definition_arn, "${var.job_definition_arn}:*"])
  }

  # And of the job, as AWS's reference has it; its name is not known before.
  statement {
    sid       = "TagJobs"
    actions   = ["batch:TagResource"]
    resources = ["arn:aws:batch:${data.aws_region.current.name}:${data.aws_caller_identity.current.account_id}:job/*"]
  }

  # AWS knows no resource for ListJobs: https://docs.aws.amazon.com/service-authorization/latest/reference/list_awsbatch.html
  statement {
    sid       = "FindJobs"
    actions   = ["batch:ListJobs"]
    resources = ["*"]
  }

  statement {
    sid       = "Log"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.this.arn}:*"]
  }
}

resource "aws_iam_role_policy" "this" {
  name   = "submit"
  role   = aws_iam_role.this.id
  policy = data.aws_iam_policy_document.this.json
}
