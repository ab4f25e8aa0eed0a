output "role_arns" {
  description = "Variables of the repository: release is RELEASE_ROLE_ARN, bake is BAKE_ROLE_ARN."
  value       = { for key, role in aws_iam_role.this : key => role.arn }
}
