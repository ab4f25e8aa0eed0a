mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                            = "framebatch"
  image                           = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend:0123abc"
  domain_name                     = "video.example.org"
  hosted_zone_id                  = "Z0123456789ABCDEFGHIJ"
  port                            = 8000
  network_cidr                    = "10.40.0.0/16"
  sizes                           = { api = { cpu = 256, memory_mib = 512, tasks = 1 }, worker = { cpu = 256, memory_mib = 512, tasks = 1 } }
  api_max_tasks                   = 2
  vpc_id                          = "vpc-1"
  public_subnet_ids               = ["subnet-1", "subnet-2"]
  subnet_ids                      = ["subnet-1", "subnet-2"]
  public_addresses                = true
  load_balancer_security_group_id = "sg-1"
  security_group_id               = "sg-2"
  database_url                    = "postgresql://framebatch@database/framebatch"
  database_password_secret_arn    = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:password"
  bucket                          = "media"
  bucket_arn                      = "arn:aws:s3:::media"
  log_retention_days              = 14
  requests_queue_url              = "https://sqs.eu-central-1.amazonaws.com/123456789012/requests"
  requests_queue_arn              = "arn:aws:sqs:eu-central-1:123456789012:requests"
  dead_requests_queue_url         = "https://sqs.eu-central-1.amazonaws.com/123456789012/dead-requests"
  dead_requests_queue_arn         = "arn:aws:sqs:eu-central-1:123456789012:dead-requests"
  job_events_queue_url            = "https://sqs.eu-central-1.amazonaws.com/123456789012/job-events"
  job_events_queue_arn            = "arn:aws:sqs:eu-central-1:123456789012:job-events"
}

run "https_for_users" {
  command = plan

  assert {
    condition     = aws_lb_listener.https.protocol == "HTTPS" && aws_lb_listener.http.default_action[0].type == "redirect"
    error_message = "Users come by HTTPS, and those who do not are sent there."
  }

  assert {
    condition     = toset(keys(aws_ecs_service.this)) == toset(["api", "worker"]) && contains(keys(aws_ecs_task_definition.this), "migrate")
    error_message = "The API and the worker always run, migrations once."
  }

  assert {
    condition     = aws_appautoscaling_target.api.min_capacity == 1 && aws_appautoscaling_target.api.max_capacity == 2
    error_message = "The API grows with its work."
  }

  assert {
    condition     = alltrue([for service in aws_ecs_service.this : service.deployment_circuit_breaker[0].rollback])
    error_message = "A version that does not start takes nothing away."
  }

  assert {
    condition     = aws_lb_target_group.api.health_check[0].path == "/healthz"
    error_message = "The process is asked, not the database."
  }

  assert {
    condition     = length(aws_acm_certificate.this) == 1
    error_message = "In a zone of ours a certificate is made."
  }
}

run "refuses_the_latest_image" {
  command = plan

  variables {
    image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend:latest"
  }

  expect_failures = [var.image]
}

run "refuses_an_address_with_https" {
  command = plan

  variables {
    domain_name = "https://video.example.org"
  }

  expect_failures = [var.domain_name]
}

run "refuses_what_is_no_zone" {
  command = plan

  variables {
    hosted_zone_id = "example.org"
  }

  expect_failures = [var.hosted_zone_id]
}

run "refuses_what_is_no_certificate" {
  command = plan

  variables {
    hosted_zone_id  = null
    certificate_arn = "certificate/1234"
  }

  expect_failures = [var.certificate_arn]
}

run "refuses_neither_zone_nor_certificate" {
  command = plan

  variables {
    hosted_zone_id = null
  }

  expect_failures = [var.certificate_arn]
}

run "refuses_a_size_that_fargate_does_not_offer" {
  command = plan

  variables {
    sizes = { api = { cpu = 256, memory_mib = 300, tasks = 1 }, worker = { cpu = 256, memory_mib = 512, tasks = 1 } }
  }

  expect_failures = [var.sizes]
}

run "refuses_no_worker" {
  command = plan

  variables {
    sizes = { api = { cpu = 256, memory_mib = 512, tasks = 1 }, worker = { cpu = 256, memory_mib = 512, tasks = 0 } }
  }

  expect_failures = [var.sizes]
}

run "refuses_fewer_tasks_at_most_than_at_first" {
  command = plan

  variables {
    api_max_tasks = 0
  }

  expect_failures = [var.api_max_tasks]
}

run "refuses_settings_that_come_from_elsewhere" {
  command = plan

  variables {
    environment = { DEBUG = "true" }
  }

  expect_failures = [var.environment]
}

run "refuses_a_key_version_of_nothing" {
  command = plan

  variables {
    secret_key_version = 0
  }

  expect_failures = [var.secret_key_version]
}
