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

mock_data "aws_availability_zones" {
  defaults = { names = ["eu-central-1a", "eu-central-1b", "eu-central-1c"] }
}

mock_data "aws_ec2_instance_type_offerings" {
  defaults = {
    instance_types = [
      "c6i.xlarge", "c7i.xlarge", "g4dn.2xlarge", "g4dn.xlarge", "g5.2xlarge", "g5.xlarge", "g5g.xlarge", "g6.2xlarge", "g6.4xlarge",
      "g6.xlarge", "p3.2xlarge",
    ]
  }
}
