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
