# In a file of their own, since terraform's mocks do not know ephemeral resources.

ephemeral "aws_secretsmanager_random_password" "this" {
  password_length     = 40
  exclude_punctuation = true
}

# Read back, so that a run that breaks off between the two leaves one password and not two.
ephemeral "aws_secretsmanager_secret_version" "password" {
  secret_id = aws_secretsmanager_secret_version.password.secret_id
}

locals {
  new_password = ephemeral.aws_secretsmanager_random_password.this.random_password
  password     = ephemeral.aws_secretsmanager_secret_version.password.secret_string
}
