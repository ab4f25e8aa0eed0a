# In a file of its own, since terraform's mocks do not know ephemeral resources.

ephemeral "aws_secretsmanager_random_password" "secret_key" {
  password_length     = 64
  exclude_punctuation = true
}

locals {
  new_secret_key = ephemeral.aws_secretsmanager_random_password.secret_key.random_password
}
