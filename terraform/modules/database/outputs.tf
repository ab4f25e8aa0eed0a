output "url" {
  description = "DATABASE_URL without the password, which libpq takes from PGPASSWORD. Connections are encrypted and the server's certificate is verified, for which `sslrootcert` names the authorities' certificates."
  value       = "postgresql://${local.user}@${aws_db_instance.this.endpoint}/${local.database}?sslmode=verify-full"
}

output "password_secret_arn" {
  description = "Secret that holds the password."
  value       = aws_secretsmanager_secret.password.arn
}

output "identifier" {
  description = "Identifier of the instance, as its metrics name it."
  value       = aws_db_instance.this.identifier
}

output "storage_gib" {
  description = "What the instance has: to begin with, and after it has grown, what it had at the last apply."
  value       = aws_db_instance.this.allocated_storage
}
