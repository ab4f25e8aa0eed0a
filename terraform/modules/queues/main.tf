# Requests on their way to AWS Batch, and what AWS Batch says of its jobs on the way back, each with its dead letters.

locals {
  day_seconds = 24 * 3600

  queues = {
    requests = {
      # AWS asks for six times the function's time, so that a message does not come back while it is still in hand.
      visibility_seconds = 6 * var.submitter_timeout_seconds
    }
    job-events = {
      visibility_seconds = var.job_events_visibility_seconds
    }
  }
}

resource "aws_sqs_queue" "dead_letters" {
  for_each = local.queues

  name                      = "${var.name}-${each.key}-dead-letters"
  message_retention_seconds = 14 * local.day_seconds
  sqs_managed_sse_enabled   = true
}

resource "aws_sqs_queue" "this" {
  for_each = local.queues

  name                       = "${var.name}-${each.key}"
  visibility_timeout_seconds = each.value.visibility_seconds
  message_retention_seconds  = 4 * local.day_seconds
  sqs_managed_sse_enabled    = true

  redrive_policy = jsonencode({
    deadLetterTargetArn = aws_sqs_queue.dead_letters[each.key].arn
    maxReceiveCount     = var.max_receives
  })
}

data "aws_iam_policy_document" "encrypted" {
  for_each = { requests = aws_sqs_queue.this["requests"].arn, requests-dead-letters = aws_sqs_queue.dead_letters["requests"].arn, job-events-dead-letters = aws_sqs_queue.dead_letters["job-events"].arn }

  statement {
    sid       = "OnlyEncryptedConnections"
    effect    = "Deny"
    actions   = ["sqs:*"]
    resources = [each.value]

    principals {
      type        = "*"
      identifiers = ["*"]
    }

    condition {
      test     = "Bool"
      variable = "aws:SecureTransport"
      values   = ["false"]
    }
  }
}

# The queue of job events has its policy, which lets EventBridge send, in the module events.
resource "aws_sqs_queue_policy" "encrypted" {
  for_each = data.aws_iam_policy_document.encrypted

  queue_url = each.key == "requests" ? aws_sqs_queue.this["requests"].url : aws_sqs_queue.dead_letters[trimsuffix(each.key, "-dead-letters")].url
  policy    = each.value.json
}
