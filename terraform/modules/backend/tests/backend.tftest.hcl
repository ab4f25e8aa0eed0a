mock_provider "aws" {
  source = "../../mocks"

  # For the one run that applies: the provider takes nothing else for an ARN.
  mock_resource "aws_iam_role" {
    defaults = { arn = "arn:aws:iam::123456789012:role/mocked" }
  }

  mock_resource "aws_lb" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:loadbalancer/app/mocked/1" }
  }

  mock_resource "aws_lb_target_group" {
    defaults = { arn = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/mocked/1" }
  }
}

variables {
  name                            = "framebatch"
  image                           = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend:0123abc"
  image_family                    = "g6"
  domain_name                     = "video.example.org"
  hosted_zone_id                  = "Z0123456789ABCDEFGHIJ"
  port                            = 8000
  load_balancer_cidrs             = ["10.40.0.0/20", "10.40.16.0/20"]
  sizes                           = { api = { cpu = 256, memory_mib = 512, tasks = 1 }, worker = { cpu = 256, memory_mib = 1024, tasks = 1 } }
  api_max_tasks                   = 2
  vpc_id                          = "vpc-1"
  public_subnet_ids               = ["subnet-1", "subnet-2"]
  subnet_ids                      = ["subnet-1", "subnet-2"]
  public_addresses                = true
  load_balancer_security_group_id = "sg-1"
  security_group_id               = "sg-2"
  database_url                    = "postgresql://framebatch@database/framebatch"
  database_ca                     = "-----BEGIN CERTIFICATE-----"
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

run "models_of_the_image_that_jobs_run_on" {
  command = plan

  assert {
    condition     = data.aws_ssm_parameter.manifest.name == "/framebatch/runtime/${local.contract.runtime_abi}/g6/manifest"
    error_message = "The backend offers the models of the machine image that the fleet starts from."
  }
}

run "https_for_users" {
  command = plan

  assert {
    condition     = aws_lb_listener.https.protocol == "HTTPS" && aws_lb_listener.http.default_action[0].type == "redirect"
    error_message = "Users come by HTTPS, and those who do not are sent there."
  }

  assert {
    condition     = [aws_ecs_service.api.desired_count, aws_ecs_service.worker.desired_count] == [1, 1] && contains(keys(aws_ecs_task_definition.this), "migrate")
    error_message = "The API and the worker always run, migrations once."
  }

  assert {
    condition     = aws_appautoscaling_target.api.min_capacity == 1 && aws_appautoscaling_target.api.max_capacity == 2
    error_message = "The API grows with its work."
  }

  assert {
    condition     = alltrue([for service in [aws_ecs_service.api, aws_ecs_service.worker] : service.deployment_circuit_breaker[0].rollback])
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

# The containers' definitions name the key's secret, which is known before it is made here alone.
run "tables_of_the_next_image_come_before_its_code" {
  command = plan

  override_resource {
    target          = aws_secretsmanager_secret.secret_key
    override_during = plan
    values          = { arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-abcdef" }
  }

  variables {
    migrate_image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend:4567def"
  }

  assert {
    condition = { for name, task in aws_ecs_task_definition.this : name => jsondecode(task.container_definitions)[0].image } == {
      api     = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend:0123abc"
      worker  = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend:0123abc"
      migrate = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend:4567def"
    }
    error_message = "The next image migrates while the one before it serves."
  }
}

run "users_are_told_apart_by_what_the_load_balancer_says" {
  command = plan

  override_resource {
    target          = aws_secretsmanager_secret.secret_key
    override_during = plan
    values          = { arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-abcdef" }
  }

  assert {
    condition     = contains(jsondecode(aws_ecs_task_definition.this["api"].container_definitions)[0].command, "10.40.0.0/20,10.40.16.0/20")
    error_message = "Addresses of the load balancer's subnets are believed, and no others."
  }
}

run "mail_and_webhooks_as_the_network_lets_them_through" {
  command = plan

  override_resource {
    target          = aws_secretsmanager_secret.secret_key
    override_during = plan
    values          = { arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:key-abcdef" }
  }

  variables {
    mail_url_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:framebatch/mail-url-AbCdEf"
    webhook_ports       = [443, 8443]
  }

  assert {
    condition     = [for name, task in aws_ecs_task_definition.this : name if contains(jsondecode(task.container_definitions)[0].secrets[*].name, "MAIL_URL")] == ["api"]
    error_message = "The API sends mail, and nobody else knows how."
  }

  assert {
    condition     = alltrue([for environment in values(output.environments) : environment.WEBHOOK_PORTS == "443,8443"])
    error_message = "The API refuses webhooks that the network would not let through."
  }
}

run "a_look_at_an_upload_leaves_the_worker_its_part" {
  command = plan

  assert {
    condition     = output.environments.worker.PROBE_MEMORY_MIB == "512"
    error_message = "Half a gibibyte is the worker's own."
  }
}

run "refuses_a_latest_image_that_migrates" {
  command = plan

  variables {
    migrate_image = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend:latest"
  }

  expect_failures = [var.migrate_image]
}

run "refuses_everybody_as_the_load_balancer" {
  command = plan

  variables {
    load_balancer_cidrs = ["0.0.0.0/0"]
  }

  expect_failures = [var.load_balancer_cidrs]
}

run "refuses_a_secret_by_its_name" {
  command = plan

  variables {
    mail_url_secret_arn = "framebatch/mail-url"
  }

  expect_failures = [var.mail_url_secret_arn]
}

run "refuses_a_worker_without_room_for_a_look" {
  command = plan

  variables {
    sizes = { api = { cpu = 256, memory_mib = 512, tasks = 1 }, worker = { cpu = 256, memory_mib = 512, tasks = 1 } }
  }

  expect_failures = [var.sizes]
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

run "refuses_a_domain_of_another_zone" {
  command = plan

  variables {
    domain_name = "video.anexample.org"
  }

  expect_failures = [data.aws_route53_zone.this]
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
    sizes = { api = { cpu = 256, memory_mib = 300, tasks = 1 }, worker = { cpu = 256, memory_mib = 1024, tasks = 1 } }
  }

  expect_failures = [var.sizes]
}

run "refuses_no_worker" {
  command = plan

  variables {
    sizes = { api = { cpu = 256, memory_mib = 512, tasks = 1 }, worker = { cpu = 256, memory_mib = 1024, tasks = 0 } }
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

run "refuses_a_setting_that_nobody_reads" {
  command = plan

  variables {
    environment = { KEEP_ANALYSIS_DAYS = "30" }
  }

  expect_failures = [var.environment]
}

run "takes_what_the_backend_reads" {
  command = plan

  variables {
    environment = { KEEP_ANALYSES_DAYS = "30", LOG_LEVEL = "WARNING" }
  }

  assert {
    condition     = output.environments.worker.KEEP_ANALYSES_DAYS == "30"
    error_message = "The worker removes what is older."
  }
}

run "refuses_a_key_version_of_nothing" {
  command = plan

  variables {
    secret_key_version = 0
  }

  expect_failures = [var.secret_key_version]
}

run "runs_before_its_sizes_change" {
  command = apply

  variables {
    hosted_zone_id  = null
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
  }
}

run "more_workers_are_what_sizes_says_and_more_of_the_api_what_autoscaling_says" {
  command = plan

  variables {
    hosted_zone_id  = null
    certificate_arn = "arn:aws:acm:eu-central-1:123456789012:certificate/1"
    sizes           = { api = { cpu = 256, memory_mib = 512, tasks = 2 }, worker = { cpu = 256, memory_mib = 1024, tasks = 3 } }
    api_max_tasks   = 4
  }

  assert {
    condition     = aws_ecs_service.worker.desired_count == 3
    error_message = "Nothing else counts the worker's tasks."
  }

  assert {
    condition     = aws_ecs_service.api.desired_count == 1 && aws_appautoscaling_target.api.min_capacity == 2
    error_message = "What autoscaling has counted stays, within its new bounds."
  }
}

run "refuses_an_image_of_another_region" {
  command = plan

  variables {
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/framebatch/backend:0123abc"
  }

  expect_failures = [var.image]
}

run "refuses_an_image_of_another_account" {
  command = plan

  variables {
    image = "210987654321.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend:0123abc"
  }

  expect_failures = [var.image]
}

run "refuses_an_image_of_another_region_that_migrates" {
  command = plan

  variables {
    migrate_image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/framebatch/backend:0123abc"
  }

  expect_failures = [var.migrate_image]
}

run "refuses_a_certificate_of_another_region" {
  command = plan

  variables {
    hosted_zone_id  = null
    certificate_arn = "arn:aws:acm:us-east-1:123456789012:certificate/1"
  }

  expect_failures = [var.certificate_arn]
}

run "refuses_a_certificate_of_another_account" {
  command = plan

  variables {
    hosted_zone_id  = null
    certificate_arn = "arn:aws:acm:eu-central-1:210987654321:certificate/1"
  }

  expect_failures = [var.certificate_arn]
}

run "refuses_a_mail_secret_of_another_region" {
  command = plan

  variables {
    mail_url_secret_arn = "arn:aws:secretsmanager:eu-west-1:123456789012:secret:framebatch/mail-url-AbCdEf"
  }

  expect_failures = [var.mail_url_secret_arn]
}

run "refuses_a_setting_of_no_such_value" {
  command = plan

  variables {
    environment = { KEEP_VIDEOS_DAYS = "0", SIGN_UP = "false" }
  }

  expect_failures = [var.environment]
}

run "refuses_a_secret_that_the_api_cannot_read" {
  command = plan

  variables {
    mail_url_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:framebatch/mail-url-AbCdEf"
  }

  override_data {
    target = data.aws_secretsmanager_secret.mail
    values = { kms_key_id = "arn:aws:kms:eu-central-1:123456789012:key/1" }
  }

  expect_failures = [data.aws_secretsmanager_secret.mail]
}

run "refuses_a_secret_that_nobody_filled" {
  command = plan

  variables {
    mail_url_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:framebatch/mail-url-AbCdEf"
  }

  override_data {
    target = data.aws_secretsmanager_secret_versions.mail
    values = { versions = [] }
  }

  expect_failures = [data.aws_secretsmanager_secret_versions.mail]
}
