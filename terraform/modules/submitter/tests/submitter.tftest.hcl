mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                 = "framebatch"
  package              = "../../mocks/package.zip"
  environment          = {}
  timeout_seconds      = 60
  requests_queue_arn   = "arn:aws:sqs:eu-central-1:123456789012:framebatch-requests"
  job_events_queue_arn = "arn:aws:sqs:eu-central-1:123456789012:framebatch-job-events"
  job_queue_arns       = ["arn:aws:batch:eu-central-1:123456789012:job-queue/framebatch"]
  job_definition_arn   = "arn:aws:batch:eu-central-1:123456789012:job-definition/framebatch-analysis"
  log_retention_days   = 14
}

run "a_record_fails_alone" {
  command = plan

  assert {
    condition     = contains(aws_lambda_event_source_mapping.requests.function_response_types, "ReportBatchItemFailures")
    error_message = "A record fails alone."
  }

  assert {
    condition     = one(aws_lambda_event_source_mapping.requests.scaling_config).maximum_concurrency == 2
    error_message = "The queue waits, not the function."
  }
}

run "refuses_a_package_that_is_no_zip" {
  command = plan

  variables {
    package = "main.tf"
  }

  expect_failures = [var.package]
}

run "refuses_a_package_that_is_not_there" {
  command = plan

  variables {
    package = "nowhere.zip"
  }

  expect_failures = [var.package]
}

run "refuses_less_than_lambda_allows" {
  command = plan

  variables {
    maximum_concurrency = 1
  }

  expect_failures = [var.maximum_concurrency]
}

run "refuses_a_package_that_is_no_zip_file" {
  command = plan

  variables {
    package = "tests/package.zip"
  }

  expect_failures = [var.package]
}
