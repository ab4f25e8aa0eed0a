output "repository_urls" {
  description = "Where images are pushed, by kind: analysis and backend."
  value       = module.registry.repository_urls
}

output "state_bucket" {
  description = "Bucket of the environments' states."
  value       = aws_s3_bucket.states.bucket
}

output "github_role_arns" {
  description = "Variables of the repository on GitHub: release is RELEASE_ROLE_ARN, bake is BAKE_ROLE_ARN."
  value       = one(module.github[*].role_arns)
}
