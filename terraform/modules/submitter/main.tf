# The Lambda that turns requests into AWS Batch jobs, and the mapping that feeds it from the queue.

data "aws_region" "current" {}
data "aws_caller_identity" "current" {}

locals {
  function = "${var.name}-sqs-to-batch"
}

resource "aws_cloudwatch_log_group" "this" {
  name              = "/aws/lambda/${local.function}"
  retention_in_days = var.log_retention_days
}

resource "aws_lambda_function" "this" {
  function_name    = local.function
  description      = "Requests for analyses in, AWS Batch jobs out."
  filename         = var.package
  source_code_hash = filebase64sha256(var.package)
  handler          = "lambda_sqs_to_batch.handler.handler"
  runtime          = "python3.13"
  architectures    = ["arm64"]
  memory_size      = 256
  timeout          = var.timeout_seconds
  role             = aws_iam_role.this.arn

  environment {
    variables = var.environment
  }

  logging_config {
    log_format = "Text" # the function writes JSON lines itself
    log_group  = aws_cloudwatch_log_group.this.name
  }
}

resource "aws_lambda_event_source_mapping" "requests" {
  event_source_arn        = var.requests_queue_arn
  function_name           = aws_lambda_function.this.arn
  batch_size              = 10
  function_response_types = ["ReportBatchItemFailures"] # a record fails alone

  # Kept by the poller, so that what is above it waits in the queue; a limit of the function would throttle deliveries
  # and carry messages to the dead letters.
  scaling_config {
    maximum_concurrency = var.maximum_concurrency
  }

  # Lambda refuses a queue that the function's role may not read yet.
  depends_on = [aws_iam_role_policy.this]
}
