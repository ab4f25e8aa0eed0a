mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                 = "framebatch"
  job_queue_arns       = ["arn:aws:batch:eu-central-1:123456789012:job-queue/framebatch"]
  job_events_queue_url = "https://sqs.eu-central-1.amazonaws.com/123456789012/job-events"
  job_events_queue_arn = "arn:aws:sqs:eu-central-1:123456789012:job-events"
}

run "events_of_our_queues" {
  command = plan

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.job_states.event_pattern).detail.jobQueue == ["arn:aws:batch:eu-central-1:123456789012:job-queue/framebatch"]
    error_message = "Jobs of others are not ours."
  }

  assert {
    condition     = jsondecode(aws_cloudwatch_event_rule.job_states.event_pattern).detail-type == ["Batch Job State Change", "Batch Job Queue Blocked"]
    error_message = "Why a job waits, which the worker reads, comes by a kind of event of its own."
  }

  assert {
    condition     = length(aws_cloudwatch_event_target.job_events.dead_letter_config) == 1
    error_message = "An event that cannot be delivered is kept."
  }
}
