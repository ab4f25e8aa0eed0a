mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                   = "framebatch"
  emails                 = ["operators@example.org"]
  monthly_budget_usd     = 50
  log_retention_days     = 14
  queue_names            = { queues = { requests = "requests", job-events = "job-events" }, dead_letters = { requests = "dead-requests", job-events = "dead-job-events" } }
  undelivered_queue_name = "undelivered"
  function_name          = "submitter"
  job_queue_arns         = ["arn:aws:batch:eu-central-1:123456789012:job-queue/framebatch"]
  jobs_log_group         = "/framebatch/jobs"
  worker_log_group       = "/framebatch/worker"
  load_balancer_suffix   = "app/framebatch/1"
  database_identifier    = "framebatch"
  database_storage_gib   = 100
}

run "everything_is_watched" {
  command = plan

  assert {
    condition     = toset(keys(aws_cloudwatch_metric_alarm.this)) == toset(["dead-requests", "dead-job-events", "undelivered-events", "age-of-requests", "age-of-job-events", "submitter-errors", "failed-analyses", "unsent-long", "given-up", "out-of-memory", "waiting-long", "api-5xx", "load-balancer-5xx", "database-storage", "database-connections"])
    error_message = "Each part has its alarm."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.worker_silence.treat_missing_data == "breaching"
    error_message = "Silence is what the worker's alarm is about."
  }

  assert {
    condition     = aws_cloudwatch_metric_alarm.this["database-storage"].threshold == 5 * 1024 * 1024 * 1024
    error_message = "A twentieth is less than the tenth at which RDS lets the storage grow."
  }

  assert {
    condition     = aws_budgets_budget.month.limit_amount == "50"
    error_message = "Somebody is told of what is spent."
  }
}

run "refuses_what_is_no_address" {
  command = plan

  variables {
    emails = ["operators"]
  }

  expect_failures = [var.emails]
}

run "refuses_no_budget" {
  command = plan

  variables {
    monthly_budget_usd = 0
  }

  expect_failures = [var.monthly_budget_usd]
}

run "refuses_half_a_failure" {
  command = plan

  variables {
    failed_analyses_per_hour = 0.5
  }

  expect_failures = [var.failed_analyses_per_hour]
}

run "refuses_no_connections" {
  command = plan

  variables {
    database_connections = 0
  }

  expect_failures = [var.database_connections]
}

run "the_dashboard_is_read_in_the_order_of_the_datas_way" {
  command = plan

  assert {
    condition = [for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.properties.markdown if widget.type == "text"] == [
      "## 1. Requests reach the API",
      "## 2. The worker sends them to the queue, the Lambda takes them out",
      "## 3. Jobs run",
      "## 4. Their events come back to the worker",
      "## 5. Results lie in the database",
    ]
    error_message = "From the browser to the database, from top to bottom."
  }

  assert {
    condition     = alltrue([for widget in jsondecode(aws_cloudwatch_dashboard.this.dashboard_body).widgets : widget.y == 7 * (tonumber(substr(widget.properties.markdown, 3, 1)) - 1) if widget.type == "text"])
    error_message = "Each part stands below the one before it."
  }
}
