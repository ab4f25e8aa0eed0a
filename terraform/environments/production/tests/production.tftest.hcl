mock_provider "aws" {
  source = "../../mocks"
}

override_data {
  target = module.framebatch.module.database.data.aws_rds_orderable_db_instance.this
  values = { instance_class = "db.m7g.large", availability_zones = ["eu-central-1a", "eu-central-1b"] }
}

variables {
  region             = "eu-central-1"
  availability_zones = ["eu-central-1a", "eu-central-1b"]
  domain_name        = "video.example.org"
  hosted_zone_id     = "Z0123456789ABCDEFGHIJ"
  analysis_image     = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/analysis:0123abc"
  backend_image      = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend:0123abc"
  lambda_package     = "../../mocks/package.zip"
  database_ca_bundle = "../../mocks/authority.pem"
  alarm_emails       = ["operators@example.org"]
  monthly_budget_usd = 50
}

run "plans" {
  command = plan

  assert {
    condition     = output.url == "https://video.example.org" && output.bucket == "framebatch-media-123456789012"
    error_message = "Users come by the domain, and the bucket is the account's."
  }

  assert {
    condition     = output.submitter_environment.JOB_QUEUE == "framebatch" && output.submitter_environment.JOB_DEFINITION == "framebatch-analysis"
    error_message = "The Lambda submits to the queue and the definition that are made here."
  }
}

run "refuses_a_region_of_another_partition" {
  command = plan

  variables {
    region             = "us-gov-west-1"
    availability_zones = ["us-gov-west-1a", "us-gov-west-1b"]
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

run "refuses_zones_of_another_region" {
  command = plan

  variables {
    availability_zones = ["eu-west-1a", "eu-west-1b"]
  }

  expect_failures = [var.availability_zones]
}
