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

run "nobody_on_github_has_a_right_unless_a_repository_is_named" {
  command = plan

  assert {
    condition     = length(module.github) == 0 && output.github_role_arns == null
    error_message = "Roles for GitHub are made where they are asked for."
  }
}

run "roles_for_the_repository_that_is_named" {
  command = plan

  variables {
    github = { repository = "example/framebatch" }
  }

  assert {
    condition     = length(module.github) == 1
    error_message = "The workflows of the repository get their roles."
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

run "refuses_a_role_that_the_account_has_already" {
  command = plan

  override_data {
    target = data.aws_iam_roles.of_service["batch"]
    values = { names = ["AWSServiceRoleForBatch"] }
  }

  expect_failures = [var.missing_service_roles]
}

run "takes_the_role_that_was_there_before_for_what_it_is" {
  command = plan

  override_data {
    target = data.aws_iam_roles.of_service["batch"]
    values = { names = ["AWSServiceRoleForBatch"] }
  }

  variables {
    missing_service_roles = ["spot"]
  }

  assert {
    condition     = keys(aws_iam_service_linked_role.this) == ["spot"]
    error_message = "What is there is made no second time."
  }
}

run "goes_on_with_roles_that_it_made_itself" {
  command = plan

  override_data {
    target = data.aws_iam_roles.of_service["batch"]
    values = { names = ["AWSServiceRoleForBatch"] }
  }

  override_data {
    target = data.aws_iam_role.of_service
    values = { tags = { Project = "framebatch" } }
  }

  assert {
    condition     = contains(keys(aws_iam_service_linked_role.this), "batch")
    error_message = "A second apply finds the role of the first."
  }
}

run "refuses_roles_of_other_services" {
  command = plan

  variables {
    missing_service_roles = ["lambda"]
  }

  expect_failures = [var.missing_service_roles]
}
