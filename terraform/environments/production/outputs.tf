output "url" {
  description = "Where users find the product."
  value       = module.framebatch.url
}

output "load_balancer_dns_name" {
  description = "Where the domain must point, if its zone is not ours."
  value       = module.framebatch.load_balancer_dns_name
}

output "run_task_arguments" {
  description = "Arguments of `aws ecs run-task --cli-input-json` that migrate the database; with another command, any of `manage.py`."
  value       = module.framebatch.run_task_arguments
}

output "bucket" {
  description = "The media bucket."
  value       = module.framebatch.bucket
}

output "queues" {
  description = "Addresses of the queues that the backend uses."
  value       = module.framebatch.queues
}

output "job_queues" {
  description = "Queues of AWS Batch: standard; enterprise, whose jobs are placed before those of standard; on-demand, for what Spot does not finish; and on-demand-enterprise, before that."
  value       = module.framebatch.job_queues
}

output "job_definition" {
  description = "ARN of the job definition's newest revision."
  value       = module.framebatch.job_definition
}

output "submitter_environment" {
  description = "Environment of the Lambda."
  value       = module.framebatch.submitter_environment
}

output "backend_environments" {
  description = "Environments of the API, the worker and the migration, without their secrets."
  value       = module.framebatch.backend_environments
}

output "role_names" {
  description = "Which role each part has."
  value       = module.framebatch.role_names
}

output "alarms_topic" {
  description = "Topic of all alarms, for further subscribers."
  value       = module.framebatch.alarms_topic
}
