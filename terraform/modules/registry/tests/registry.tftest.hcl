mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name = "framebatch"
}

run "images_do_not_change" {
  command = plan

  assert {
    condition     = alltrue([for repository in aws_ecr_repository.this : repository.image_tag_mutability == "IMMUTABLE"]) && length(aws_ecr_repository.this) == 2
    error_message = "A tag means one image for ever."
  }
}

run "an_environment_may_be_many_releases_behind" {
  command = plan

  assert {
    condition     = alltrue([for policy in aws_ecr_lifecycle_policy.this : jsondecode(policy.policy).rules[0].selection.countNumber >= 300])
    error_message = "Every change of the job's code is pushed, and the image of an environment that is released less often goes with the oldest: its jobs could not start."
  }
}

run "refuses_capital_letters" {
  command = plan

  variables {
    name = "Framebatch"
  }

  expect_failures = [var.name]
}

run "refuses_nothing_to_roll_back_to" {
  command = plan

  variables {
    keep_images = 1
  }

  expect_failures = [var.keep_images]
}
