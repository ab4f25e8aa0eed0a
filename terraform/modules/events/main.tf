# What AWS Batch says of our jobs, from EventBridge into the worker's queue.

resource "aws_cloudwatch_event_rule" "job_states" {
  name        = "${var.name}-job-states"
  description = "Every change of state of a job in our queues, and why the first job of a queue cannot be placed."

  # The second tells of one job of an array why it waits, which AWS Batch says of the array itself never.
  event_pattern = jsonencode({
    source      = ["aws.batch"]
    detail-type = ["Batch Job State Change", "Batch Job Queue Blocked"]
    detail      = { jobQueue = var.job_queue_arns }
  })
}

# Events that could not be put into the queue, such as after a mistake in its policy.
resource "aws_sqs_queue" "undelivered" {
  name                      = "${var.name}-undelivered-events"
  message_retention_seconds = 14 * 24 * 3600
  sqs_managed_sse_enabled   = true
}

resource "aws_cloudwatch_event_target" "job_events" {
  rule      = aws_cloudwatch_event_rule.job_states.name
  target_id = "job-events"
  arn       = var.job_events_queue_arn

  dead_letter_config {
    arn = aws_sqs_queue.undelivered.arn
  }

  retry_policy {
    maximum_event_age_in_seconds = 24 * 3600
    maximum_retry_attempts       = 185
  }
}

data "aws_iam_policy_document" "queues" {
  for_each = { job_events = var.job_events_queue_arn, undelivered = aws_sqs_queue.undelivered.arn }

  statement {
    sid       = "EventsOfOurRule"
    actions   = ["sqs:SendMessage"]
    resources = [each.value]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }

    condition {
      test     = "ArnEquals"
      variable = "aws:SourceArn"
      values   = [aws_cloudwatch_event_rule.job_states.arn]
    }
  }

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

resource "aws_sqs_queue_policy" "job_events" {
  queue_url = var.job_events_queue_url
  policy    = data.aws_iam_policy_document.queues["job_events"].json
}

resource "aws_sqs_queue_policy" "undelivered" {
  queue_url = aws_sqs_queue.undelivered.url
  policy    = data.aws_iam_policy_document.queues["undelivered"].json
}
