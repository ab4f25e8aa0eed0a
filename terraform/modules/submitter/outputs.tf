output "function_name" {
  description = "Name of the function, as its metrics name it."
  value       = aws_lambda_function.this.function_name
}

output "environment" {
  description = "Environment of the function."
  value       = aws_lambda_function.this.environment[0].variables
}

output "role_name" {
  description = "Role of the function."
  value       = aws_iam_role.this.name
}
