mock_provider "aws" {
  source = "../../mocks"
}

variables {
  domain_name        = "video.example.org"
  hosted_zone_id     = "Z0123456789ABCDEFGHIJ"
  analysis_image     = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/analysis:0123abc"
  backend_image      = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend:0123abc"
  lambda_package     = "../../mocks/package.zip"
  database_ca_bundle = "../../mocks/authority.pem"
  network            = { availability_zones = ["eu-central-1a", "eu-central-1b"] }
  jobs               = { spot_max_vcpus = 16, on_demand_max_vcpus = 8 }
  backend            = { sizes = { api = { cpu = 256, memory_mib = 512, tasks = 1 }, worker = { cpu = 256, memory_mib = 1024, tasks = 1 } }, api_max_tasks = 2 }
  alarms             = { emails = ["operators@example.org"], monthly_budget_usd = 50 }
}

run "protected_unless_asked_otherwise" {
  command = plan

  assert {
    condition     = var.deletion_protection && var.log_retention_days == 30
    error_message = "What holds data refuses to be destroyed, and logs end."
  }
}

run "mail_and_webhooks_leave_where_the_backend_is_told_of_them" {
  command = plan

  variables {
    network = { availability_zones = ["eu-central-1a", "eu-central-1b"], webhook_ports = [443, 8443] }
    mail    = { url_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:mail-url-AbCdEf", port = 587 }
  }

  assert {
    condition     = output.backend_environments.api.WEBHOOK_PORTS == "443,8443"
    error_message = "The API knows which webhooks the network lets through."
  }
}

run "refuses_no_certificates" {
  command = plan

  variables {
    database_ca_bundle = "nowhere.pem"
  }

  expect_failures = [var.database_ca_bundle]
}

run "refuses_a_name_too_long" {
  command = plan

  variables {
    name = "framebatch-of-the-whole-company"
  }

  expect_failures = [var.name]
}

run "refuses_days_that_cloudwatch_does_not_offer" {
  command = plan

  variables {
    log_retention_days = 10
  }

  expect_failures = [var.log_retention_days]
}

run "refuses_a_name_that_a_database_may_not_have" {
  command = plan

  variables {
    name = "framebatch--two"
  }

  expect_failures = [var.name]
}

run "refuses_a_name_that_aws_keeps" {
  command = plan

  variables {
    name = "aws"
  }

  expect_failures = [var.name]
}

run "refuses_images_of_a_repository_that_nobody_made" {
  command = plan

  variables {
    migrate_image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend-next:0123abc"
  }

  expect_failures = [data.aws_ecr_repositories.all]
}

run "looks_for_each_image_by_its_tag_or_its_digest" {
  command = plan

  variables {
    backend_image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend@sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
  }

  assert {
    condition     = join(" ", [for image, found in data.aws_ecr_image.pushed : "${found.repository_name} ${found.image_tag == null ? found.image_digest : found.image_tag}"]) == "framebatch/analysis 0123abc framebatch/backend sha256:0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"
    error_message = "Each image is looked for as it is named."
  }
}
