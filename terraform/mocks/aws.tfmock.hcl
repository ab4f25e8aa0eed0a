# What terraform's mocks answer where a random word would not do.

mock_data "aws_iam_policy_document" {
  defaults = { json = "{}" }
}

mock_data "aws_caller_identity" {
  defaults = { account_id = "123456789012" }
}

mock_data "aws_region" {
  defaults = { name = "eu-central-1" }
}

mock_data "aws_route53_zone" {
  defaults = { name = "example.org" }
}
