# One page, read from top to bottom in the order of the data's way.

data "aws_region" "current" {}

locals {
  rows = [
    {
      title = "1. Requests reach the API"
      left  = { title = "Requests, and answers that were errors", metrics = [["AWS/ApplicationELB", "RequestCount", "LoadBalancer", var.load_balancer_suffix], [".", "HTTPCode_Target_5XX_Count", ".", "."], [".", "HTTPCode_ELB_5XX_Count", ".", "."]], stat = "Sum" }
      right = { title = "Seconds to answer", metrics = [["AWS/ApplicationELB", "TargetResponseTime", "LoadBalancer", var.load_balancer_suffix]], stat = "p99" }
    },
    {
      title = "2. The worker sends them to the queue, the Lambda takes them out"
      left  = { title = "Requests waiting, dead letters, minutes with requests that stay unsent", metrics = [["AWS/SQS", "ApproximateNumberOfMessagesVisible", "QueueName", var.queue_names.queues["requests"]], [".", ".", ".", var.queue_names.dead_letters["requests"]], [var.name, local.said.unsent-long.metric]], stat = "Maximum" }
      right = { title = "The Lambda: calls, errors, throttles", metrics = [["AWS/Lambda", "Invocations", "FunctionName", var.function_name], [".", "Errors", ".", "."], [".", "Throttles", ".", "."]], stat = "Sum" }
    },
    {
      title = "3. Jobs run"
      left  = { title = "Analyses that failed by no fault of their videos, jobs that ran out of memory", metrics = [[var.name, local.said.failed-analyses.metric], [var.name, local.said.out-of-memory.metric]], stat = "Sum" }
      right = { title = "Queues whose first job cannot start, minutes with jobs that wait long", metrics = [["AWS/Events", "Invocations", "RuleName", aws_cloudwatch_event_rule.blocked_queue.name], [var.name, local.said.waiting-long.metric]], stat = "Sum" }
    },
    {
      title = "4. Their events come back to the worker"
      left  = { title = "Seconds the oldest event waits", metrics = [["AWS/SQS", "ApproximateAgeOfOldestMessage", "QueueName", var.queue_names.queues["job-events"]]], stat = "Maximum" }
      right = { title = "How often the worker asks, and dead letters", metrics = [["AWS/SQS", "NumberOfEmptyReceives", "QueueName", var.queue_names.queues["job-events"]], [".", "NumberOfMessagesReceived", ".", "."], [".", "ApproximateNumberOfMessagesVisible", ".", var.queue_names.dead_letters["job-events"]], [".", ".", ".", var.undelivered_queue_name]], stat = "Sum" }
    },
    {
      title = "5. Results lie in the database"
      left  = { title = "Connections, percent of the processor", metrics = [["AWS/RDS", "DatabaseConnections", "DBInstanceIdentifier", var.database_identifier], [".", "CPUUtilization", ".", "."]], stat = "Maximum" }
      right = { title = "Bytes free", metrics = [["AWS/RDS", "FreeStorageSpace", "DBInstanceIdentifier", var.database_identifier]], stat = "Minimum" }
    },
  ]
}

resource "aws_cloudwatch_dashboard" "this" {
  dashboard_name = var.name

  dashboard_body = jsonencode({
    widgets = flatten([for index, row in local.rows : concat(
      [{ type = "text", x = 0, y = index * 7, width = 24, height = 1, properties = { markdown = "## ${row.title}" } }],
      [for side, widget in [row.left, row.right] : {
        type = "metric", x = side * 12, y = index * 7 + 1, width = 12, height = 6
        properties = {
          title   = widget.title
          metrics = widget.metrics
          stat    = widget.stat
          period  = 300
          region  = data.aws_region.current.name
        }
      }],
    )])
  })
}
