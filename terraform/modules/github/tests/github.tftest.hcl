mock_provider "aws" {
  source = "../../mocks"
}

variables {
  repository              = "example/framebatch"
  analysis_repository_arn = "arn:aws:ecr:eu-central-1:123456789012:repository/framebatch/analysis"
  bake_clip_arn           = "arn:aws:s3:::clips/street.mp4"
  provider_arn            = "arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"
}

run "each_role_for_one_environment_of_one_repository" {
  command = plan

  assert {
    condition = { for key, trust in data.aws_iam_policy_document.trust : key => { for condition in trust.statement[0].condition : condition.variable => [condition.test, condition.values] } } == {
      release = {
        "token.actions.githubusercontent.com:aud" = ["StringEquals", tolist(["sts.amazonaws.com"])]
        "token.actions.githubusercontent.com:sub" = ["StringEquals", tolist(["repo:example/framebatch:environment:production"])]
      }
      bake = {
        "token.actions.githubusercontent.com:aud" = ["StringEquals", tolist(["sts.amazonaws.com"])]
        "token.actions.githubusercontent.com:sub" = ["StringEquals", tolist(["repo:example/framebatch:environment:machine-image"])]
      }
    }
    error_message = "A role trusts the environment that GitHub guards for it, and no branch, fork or other repository."
  }

  assert {
    condition     = alltrue([for trust in data.aws_iam_policy_document.trust : length(trust.statement) == 1 && one(trust.statement[0].principals).identifiers == toset(["arn:aws:iam::123456789012:oidc-provider/token.actions.githubusercontent.com"])])
    error_message = "Nobody but GitHub says who somebody is."
  }

  assert {
    condition     = length(aws_iam_openid_connect_provider.github) == 0
    error_message = "An account has one provider for all repositories."
  }
}

run "a_repository_by_its_ids_as_well" {
  command = plan

  variables {
    repository = "example@1234/framebatch@5678"
  }

  assert {
    condition     = { for key, trust in data.aws_iam_policy_document.trust : key => [for condition in trust.statement[0].condition : condition.values if endswith(condition.variable, ":sub")] } == { release = [tolist(["repo:example@1234/framebatch@5678:environment:production"])], bake = [tolist(["repo:example@1234/framebatch@5678:environment:machine-image"])] }
    error_message = "Tokens of repositories that were made since July 2026 name the ids, and are refused by a role that does not."
  }
}

run "provider_where_there_is_none" {
  command = plan

  variables {
    provider_arn = null
  }

  assert {
    condition     = aws_iam_openid_connect_provider.github[0].url == "https://token.actions.githubusercontent.com" && aws_iam_openid_connect_provider.github[0].client_id_list == toset(["sts.amazonaws.com"])
    error_message = "Tokens for AWS are taken, and no others."
  }
}

run "refuses_every_repository" {
  command = plan

  variables {
    repository = "example/*"
  }

  expect_failures = [var.repository]
}

run "refuses_a_repository_by_one_id_alone" {
  command = plan

  variables {
    repository = "example@1234/framebatch"
  }

  expect_failures = [var.repository]
}

run "refuses_another_provider" {
  command = plan

  variables {
    provider_arn = "arn:aws:iam::123456789012:oidc-provider/gitlab.example.org"
  }

  expect_failures = [var.provider_arn]
}

run "refuses_any_environment" {
  command = plan

  variables {
    release_environment = "*"
  }

  expect_failures = [var.release_environment]
}

run "refuses_one_environment_for_both" {
  command = plan

  variables {
    bake_environment = "production"
  }

  expect_failures = [var.bake_environment]
}

run "refuses_a_whole_bucket_as_clip" {
  command = plan

  variables {
    bake_clip_arn = "arn:aws:s3:::clips/*"
  }

  expect_failures = [var.bake_clip_arn]
}

run "refuses_every_role" {
  command = plan

  variables {
    bake_machine_role_arn = "arn:aws:iam::123456789012:role/*"
  }

  expect_failures = [var.bake_machine_role_arn]
}

run "refuses_a_provider_of_another_account" {
  command = plan

  variables {
    provider_arn = "arn:aws:iam::210987654321:oidc-provider/token.actions.githubusercontent.com"
  }

  expect_failures = [var.provider_arn]
}

run "refuses_a_machines_role_of_another_account" {
  command = plan

  variables {
    bake_machine_role_arn = "arn:aws:iam::210987654321:role/bake"
  }

  expect_failures = [var.bake_machine_role_arn]
}

run "refuses_what_is_no_environments_name" {
  command = plan

  variables {
    name = "Frame batch"
  }

  expect_failures = [var.name]
}
