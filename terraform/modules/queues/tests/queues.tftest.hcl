mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                      = "framebatch"
  submitter_timeout_seconds = 60
}

run "six_times_the_lambda" {
  command = plan

  assert {
    condition     = aws_sqs_queue.this["requests"].visibility_timeout_seconds == 6 * var.submitter_timeout_seconds
    error_message = "A request comes back only when the Lambda cannot hold it any more."
  }

  assert {
    condition     = alltrue([for queue in concat(values(aws_sqs_queue.this), values(aws_sqs_queue.dead_letters)) : queue.sqs_managed_sse_enabled])
    error_message = "Messages are encrypted."
  }

  assert {
    condition     = alltrue([for queue in aws_sqs_queue.dead_letters : queue.message_retention_seconds == 1209600])
    error_message = "Dead letters wait for as long as SQS lets them."
  }

  assert {
    condition     = length(aws_sqs_queue_redrive_allow_policy.this) == 2
    error_message = "Each queue of dead letters takes them from its own queue alone."
  }
}

run "refuses_more_than_lambda_allows" {
  command = plan

  variables {
    submitter_timeout_seconds = 901
  }

  expect_failures = [var.submitter_timeout_seconds]
}

run "refuses_no_time_for_events" {
  command = plan

  variables {
    job_events_visibility_seconds = 5
  }

  expect_failures = [var.job_events_visibility_seconds]
}

run "refuses_a_single_receive" {
  command = plan

  variables {
    max_receives = 1
  }

  expect_failures = [var.max_receives]
}
