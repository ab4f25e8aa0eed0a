output "url" {
  description = "Where users find the product."
  value       = module.backend.url
}

output "load_balancer_dns_name" {
  description = "Where the domain must point, if its zone is not ours."
  value       = module.backend.load_balancer_dns_name
}

output "run_task_arguments" {
  description = "Arguments of `aws ecs run-task --cli-input-json` that migrate the database; with another command, any of `manage.py`."
  value       = module.backend.run_task_arguments
}

output "bucket" {
  description = "The media bucket."
  value       = module.storage.bucket
}

output "queues" {
  description = "Addresses of the queues that the backend uses."
  value = {
    requests      = module.queues.requests_url
    dead_requests = module.queues.dead_requests_url
    job_events    = module.queues.job_events_url
  }
}

output "job_queues" {
  description = "Queues of AWS Batch: standard; enterprise, whose jobs are placed before those of standard; on-demand, for what Spot does not finish; and on-demand-enterprise, before that."
  value       = module.batch.job_queue_arns
}

output "job_definition" {
  description = "ARN of the job definition's newest revision."
  value       = module.batch.job_definition_revision_arn
}

output "submitter_environment" {
  description = "Environment of the Lambda."
  value       = module.submitter.environment
}

output "backend_environments" {
  description = "Environments of the API, the worker and the migration, without their secrets."
  value       = module.backend.environments
}

output "role_names" {
  description = "Which role each part has."
  value = {
    submitter         = module.submitter.role_name
    machine           = module.batch.role_names["machine"]
    job_execution     = module.batch.role_names["execution"]
    job               = module.batch.role_names["job"]
    backend_execution = module.backend.role_names["execution"]
    api               = module.backend.role_names["api"]
    worker            = module.backend.role_names["worker"]
  }
}

output "alarms_topic" {
  description = "Topic of all alarms, for further subscribers."
  value       = module.observability.topic_arn
}
