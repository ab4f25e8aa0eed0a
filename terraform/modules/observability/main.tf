# Whom to tell, and of what. Every alarm names what to look at first.

data "aws_caller_identity" "current" {}

resource "aws_sns_topic" "alarms" {
  name = "${var.name}-alarms"
}

resource "aws_sns_topic_subscription" "email" {
  for_each = toset(var.emails)

  topic_arn = aws_sns_topic.alarms.arn
  protocol  = "email"
  endpoint  = each.key
}

data "aws_iam_policy_document" "alarms" {
  statement {
    sid       = "AlarmsAndBudgets"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "Service"
      identifiers = ["cloudwatch.amazonaws.com", "budgets.amazonaws.com"]
    }

    condition {
      test     = "StringEquals"
      variable = "aws:SourceAccount"
      values   = [data.aws_caller_identity.current.account_id]
    }
  }

  # EventBridge takes no condition here.
  statement {
    sid       = "Events"
    actions   = ["sns:Publish"]
    resources = [aws_sns_topic.alarms.arn]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com"]
    }
  }
}

resource "aws_sns_topic_policy" "alarms" {
  arn    = aws_sns_topic.alarms.arn
  policy = data.aws_iam_policy_document.alarms.json
}

resource "aws_cloudwatch_metric_alarm" "this" {
  for_each = local.alarms

  alarm_name          = "${var.name}-${each.key}"
  alarm_description   = each.value.description
  namespace           = each.value.namespace
  metric_name         = each.value.metric
  dimensions          = each.value.dimensions
  statistic           = each.value.statistic
  period              = each.value.period
  evaluation_periods  = each.value.periods
  comparison_operator = each.value.comparison
  threshold           = each.value.threshold
  treat_missing_data  = "notBreaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]
}

# A worker at work asks for events without end, and each answer, empty or not, is counted.
resource "aws_cloudwatch_metric_alarm" "worker_silence" {
  alarm_name          = "${var.name}-worker-silence"
  alarm_description   = "Nobody reads job events: the worker stands still. Look at its service in ECS, then at its log."
  comparison_operator = "LessThanThreshold"
  threshold           = 1
  evaluation_periods  = 3
  treat_missing_data  = "breaching"
  alarm_actions       = [aws_sns_topic.alarms.arn]
  ok_actions          = [aws_sns_topic.alarms.arn]

  metric_query {
    id          = "asked"
    expression  = "FILL(empty, 0) + FILL(received, 0)"
    label       = "answers to the worker"
    return_data = true
  }

  dynamic "metric_query" {
    for_each = { empty = "NumberOfEmptyReceives", received = "NumberOfMessagesReceived" }

    content {
      id = metric_query.key

      metric {
        namespace   = "AWS/SQS"
        metric_name = metric_query.value
        dimensions  = { QueueName = var.queue_names.queues["job-events"] }
        stat        = "Sum"
        period      = 300
      }
    }
  }
}

# Jobs that failed, with all that AWS Batch says of them, which it forgets after a week.
resource "aws_cloudwatch_log_group" "failed_jobs" {
  name              = "/aws/events/${var.name}-failed-jobs"
  retention_in_days = var.log_retention_days
}

resource "aws_cloudwatch_event_rule" "failed_jobs" {
  name        = "${var.name}-failed-jobs"
  description = "Jobs that failed for good."

  event_pattern = jsonencode({
    source      = ["aws.batch"]
    detail-type = ["Batch Job State Change"]
    detail      = { jobQueue = var.job_queue_arns, status = ["FAILED"] }
  })
}

resource "aws_cloudwatch_event_target" "failed_jobs" {
  rule      = aws_cloudwatch_event_rule.failed_jobs.name
  target_id = "log"
  arn       = aws_cloudwatch_log_group.failed_jobs.arn
}

data "aws_iam_policy_document" "failed_jobs" {
  statement {
    sid       = "Events"
    actions   = ["logs:CreateLogStream", "logs:PutLogEvents"]
    resources = ["${aws_cloudwatch_log_group.failed_jobs.arn}:*"]

    principals {
      type        = "Service"
      identifiers = ["events.amazonaws.com", "delivery.logs.amazonaws.com"]
    }
  }
}

resource "aws_cloudwatch_log_resource_policy" "failed_jobs" {
  policy_name     = "${var.name}-failed-jobs"
  policy_document = data.aws_iam_policy_document.failed_jobs.json
}

# AWS Batch says itself when the job at a queue's head cannot start, and why: at once, and by mail.
resource "aws_cloudwatch_event_rule" "blocked_queue" {
  name        = "${var.name}-blocked-queue"
  description = "The first job of a queue stays RUNNABLE."

  event_pattern = jsonencode({
    source      = ["aws.batch"]
    detail-type = ["Batch Job Queue Blocked"]
    detail      = { jobQueue = var.job_queue_arns } # whole ARNs: the beginning of ours may begin another environment's
  })
}

resource "aws_cloudwatch_event_target" "blocked_queue" {
  rule      = aws_cloudwatch_event_rule.blocked_queue.name
  target_id = "alarms"
  arn       = aws_sns_topic.alarms.arn
}

# What AWS measures of nobody's memory or waiting, read from what the product itself says. AWS Batch has no metrics of its
# jobs, and CloudWatch has the memory of a GPU only from an agent on each machine, paid for by the metric; a job fills its
# GPU on purpose, so that only the end of it is news.
#
# - out-of-memory: attempts that end with the error code out_of_memory, for want of room on the GPU or of the machine's.
# - killed-for-memory: jobs that failed because their container took more of the machine's memory than the definition
#   gives it; such a container is gone before it can say so, and AWS Batch does.
# - waiting-long: minutes in which some job has waited for a machine for more than 30 minutes, as the worker sees it in
#   its database (LONG in backend/videos/waiting.py).
# - failed-analyses: analyses that failed by no fault of what was asked for (OF_THE_REQUEST in contract/errors.py), each
#   once: not what its owner cancelled, nor a Spot machine that was lost and another tried, nor the children of an array.
# - unsent-long: minutes in which some request has waited in the outbox for more than five minutes (backend/videos/pulse.py).
# - given-up: minutes in which there are calls to AWS that the worker has given up after a day (the same file).
locals {
  said = {
    out-of-memory     = { log = var.jobs_log_group, pattern = "{ $.code = \"out_of_memory\" }", metric = "OutOfMemory" }
    killed-for-memory = { log = aws_cloudwatch_log_group.failed_jobs.name, pattern = "{ $.detail.container.reason = \"OutOfMemoryError*\" }", metric = "OutOfMemory" }
    waiting-long      = { log = var.worker_log_group, pattern = "\"jobs wait long for a machine\"", metric = "WaitingLong" }
    failed-analyses   = { log = var.worker_log_group, pattern = "\"analysis failed by no fault of its video\"", metric = "FailedAnalyses" }
    unsent-long       = { log = var.worker_log_group, pattern = "\"requests stay unsent\"", metric = "UnsentLong" }
    given-up          = { log = var.worker_log_group, pattern = "\"owed calls stay given up\"", metric = "GivenUp" }
  }
}

resource "aws_cloudwatch_log_metric_filter" "this" {
  for_each = local.said

  name           = "${var.name}-${each.key}"
  log_group_name = each.value.log
  pattern        = each.value.pattern

  metric_transformation {
    namespace = var.name
    name      = each.value.metric
    value     = "1"
  }
}
