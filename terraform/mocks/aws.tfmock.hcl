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

mock_data "aws_ssm_parameters_by_path" {
  defaults = {
    names = [
      "/framebatch/runtime/1/c6i/image-id", "/framebatch/runtime/1/c7i/image-id", "/framebatch/runtime/1/g5g/image-id",
      "/framebatch/runtime/1/g6/image-id", "/framebatch/runtime/1/g6/manifest",
    ]
  }
}

mock_data "aws_ecr_repositories" {
  defaults = { names = ["framebatch/analysis", "framebatch/backend"] }
}

mock_data "aws_rds_orderable_db_instance" {
  defaults = { instance_class = "db.t4g.micro", availability_zones = ["eu-central-1a", "eu-central-1b"] }
}

mock_data "aws_vpc_endpoint_service" {
  defaults = { availability_zones = ["eu-central-1a", "eu-central-1b", "eu-central-1c"] }
}

mock_data "aws_secretsmanager_secret" {
  defaults = { kms_key_id = "" }
}

mock_data "aws_secretsmanager_secret_versions" {
  defaults = {
    versions = [{ created_time = "2026-11-28T12:00:00Z", last_accessed_date = "", version_id = "1", version_stages = ["AWSCURRENT"] }]
  }
}
