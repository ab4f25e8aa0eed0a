output "job_queues" {
  description = "Names of the job queues: standard, enterprise, on-demand and on-demand-enterprise."
  value       = { for key, queue in aws_batch_job_queue.this : key => queue.name }
}

output "job_queue_arns" {
  description = "ARNs of the job queues: standard, enterprise, on-demand and on-demand-enterprise."
  value       = { for key, queue in aws_batch_job_queue.this : key => queue.arn }
}

output "image_family" {
  description = "Family of machines whose machine image jobs run on."
  value       = var.image_family

  # Whoever reads its manifest reads it after it is known to be there.
  depends_on = [data.aws_ssm_parameters_by_path.published]
}

output "job_definition" {
  description = "Name of the job definition; its newest revision is meant."
  value       = aws_batch_job_definition.analysis.name
}

output "job_definition_arn" {
  description = "ARN of the job definition, without a revision."
  value       = aws_batch_job_definition.analysis.arn_prefix
}

output "job_definition_revision_arn" {
  description = "ARN of the job definition's newest revision."
  value       = aws_batch_job_definition.analysis.arn
}

output "log_group" {
  description = "What jobs say."
  value       = aws_cloudwatch_log_group.jobs.name
}

output "role_names" {
  description = "Roles by part: machine, execution, job."
  value       = { machine = aws_iam_role.machine.name, execution = aws_iam_role.execution.name, job = aws_iam_role.job.name }
}
