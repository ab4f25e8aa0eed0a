mock_provider "aws" {
  source = "../mocks"
}

variables {
  region = "eu-central-1"
}

run "once_for_an_account" {
  command = plan

  assert {
    condition     = toset(keys(aws_iam_service_linked_role.this)) == toset(["batch", "spot"])
    error_message = "AWS Batch and Spot get the roles that they take for themselves."
  }

  assert {
    condition     = output.state_bucket == "framebatch-terraform-123456789012-eu-central-1"
    error_message = "States lie in a bucket of the account's own."
  }
}

run "refuses_a_region_of_another_partition" {
  command = plan

  variables {
    region = "us-gov-west-1"
  }

  expect_failures = [var.region]
}

run "refuses_what_is_no_region" {
  command = plan

  variables {
    region = "Frankfurt"
  }

  expect_failures = [var.region]
}

run "refuses_roles_of_other_services" {
  command = plan

  variables {
    missing_service_roles = ["lambda"]
  }

  expect_failures = [var.missing_service_roles]
}
