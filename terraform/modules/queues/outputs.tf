output "requests_url" {
  description = "REQUESTS_QUEUE_URL of the backend."
  value       = aws_sqs_queue.this["requests"].url
}

output "requests_arn" {
  description = "Source of the Lambda."
  value       = aws_sqs_queue.this["requests"].arn
}

output "dead_requests_url" {
  description = "DEAD_REQUESTS_QUEUE_URL of the backend."
  value       = aws_sqs_queue.dead_letters["requests"].url
}

output "dead_requests_arn" {
  description = "Dead letters of requests."
  value       = aws_sqs_queue.dead_letters["requests"].arn
}

output "job_events_url" {
  description = "JOB_EVENTS_QUEUE_URL of the backend."
  value       = aws_sqs_queue.this["job-events"].url
}

output "job_events_arn" {
  description = "Target of EventBridge."
  value       = aws_sqs_queue.this["job-events"].arn
}

output "names" {
  description = "Names of the queues and of their dead letters, as their metrics name them."
  value = {
    queues       = { for key, queue in aws_sqs_queue.this : key => queue.name }
    dead_letters = { for key, queue in aws_sqs_queue.dead_letters : key => queue.name }
  }
}
