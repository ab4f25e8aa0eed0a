output "repository_urls" {
  description = "Where images are pushed, by kind: analysis and backend."
  value       = { for key, repository in aws_ecr_repository.this : key => repository.repository_url }
}

output "repository_arns" {
  description = "ARNs of the same, by kind."
  value       = { for key, repository in aws_ecr_repository.this : key => repository.arn }
}
