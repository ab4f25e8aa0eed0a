output "rule_name" {
  description = "Name of the rule."
  value       = aws_cloudwatch_event_rule.job_states.name
}

output "undelivered_queue_name" {
  description = "Queue of events that could not be delivered, as its metrics name it."
  value       = aws_sqs_queue.undelivered.name
}
