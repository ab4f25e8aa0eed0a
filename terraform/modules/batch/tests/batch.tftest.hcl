mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name                         = "framebatch"
  image                        = "123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/analysis:0123abc"
  spot_max_vcpus               = 16
  on_demand_max_vcpus          = 8
  availability_zones           = ["eu-central-1a", "eu-central-1b"]
  subnet_ids                   = ["subnet-1"]
  security_group_id            = "sg-1"
  bucket                       = "media"
  bucket_arn                   = "arn:aws:s3:::media"
  database_url                 = "postgresql://framebatch@database/framebatch"
  database_ca                  = "-----BEGIN CERTIFICATE-----\nQW1hem9uIFJEUyBldS1jZW50cmFsLTEgUm9vdCBDQSwgb2Ygbm9ib2R5\n-----END CERTIFICATE-----\n"
  database_password_secret_arn = "arn:aws:secretsmanager:eu-central-1:123456789012:secret:password"
  log_retention_days           = 14
}

run "gpus_on_spot_first" {
  command = plan

  assert {
    condition     = aws_batch_compute_environment.this["spot"].compute_resources[0].type == "SPOT" && aws_batch_compute_environment.this["spot"].compute_resources[0].allocation_strategy == "SPOT_PRICE_CAPACITY_OPTIMIZED"
    error_message = "Jobs run on Spot, where it is cheap and likely to stay."
  }

  assert {
    condition     = alltrue([for environment in aws_batch_compute_environment.this : environment.compute_resources[0].min_vcpus == 0])
    error_message = "Nothing runs while no video waits."
  }

  assert {
    condition     = alltrue([for environment in aws_batch_compute_environment.this : environment.compute_resources[0].ec2_configuration[0].image_type == "ECS_AL2023_NVIDIA"])
    error_message = "AWS Batch knows that the machines have GPUs."
  }

  assert {
    condition     = aws_launch_template.this.metadata_options[0].http_tokens == "required" && aws_launch_template.this.metadata_options[0].http_put_response_hop_limit == 1
    error_message = "The machine's metadata asks for a session, and reaches no further than its own network."
  }

  assert {
    condition     = aws_launch_template.this.block_device_mappings[0].ebs[0].encrypted == "true" && aws_launch_template.this.block_device_mappings[0].ebs[0].volume_initialization_rate == 300
    error_message = "Volumes are encrypted, and filled at a rate that is paid for."
  }

  assert {
    condition     = aws_batch_job_queue.this["enterprise"].priority > aws_batch_job_queue.this["standard"].priority && aws_batch_job_queue.this["on-demand-enterprise"].priority > aws_batch_job_queue.this["on-demand"].priority
    error_message = "Enterprise goes first, on Spot and On-Demand."
  }

  assert {
    condition     = local.queues["enterprise"].environment == local.queues["standard"].environment && local.queues["on-demand-enterprise"].environment == local.queues["on-demand"].environment
    error_message = "A queue goes before another only on the same machines."
  }

  assert {
    condition     = alltrue([for queue in aws_batch_job_queue.this : length(queue.job_state_time_limit_action) == 3])
    error_message = "A job that will never start is ended."
  }

  assert {
    condition     = toset([for rule in aws_batch_job_definition.analysis.retry_strategy[0].evaluate_on_exit : rule.on_exit_code if rule.on_exit_code != null && rule.on_exit_code != ""]) == toset(["75", "137"])
    error_message = "Jobs are tried again by the contract's exit codes."
  }

  assert {
    condition     = length(aws_batch_scheduling_policy.plans.fair_share_policy[0].share_distribution) == 5
    error_message = "Each plan has its share."
  }

  assert {
    condition     = length(terraform_data.idle_delay) == 0
    error_message = "AWS's command line is needed only for a delay."
  }
}

run "machines_know_who_signs_the_databases_certificate" {
  command = plan

  assert {
    condition     = strcontains(base64decode(aws_launch_template.this.user_data), "\ncat > /opt/runtime/database-ca.pem <<'CERTIFICATES'\n-----BEGIN CERTIFICATE-----\nQW1hem9uIFJEUyBldS1jZW50cmFsLTEgUm9vdCBDQSwgb2Ygbm9ib2R5\n-----END CERTIFICATE-----\nCERTIFICATES\n")
    error_message = "Each machine lays the certificates out, where jobs read and do not write."
  }

  assert {
    condition     = endswith(local.environment.DATABASE_URL, "&sslrootcert=/opt/runtime/database-ca.pem")
    error_message = "Jobs look where the machine has laid them out."
  }
}

run "a_family_has_a_size_that_fits" {
  command = plan

  variables {
    instance_types      = ["g6"]
    job                 = { vcpus = 32, memory_mib = 102400 }
    spot_max_vcpus      = 32
    on_demand_max_vcpus = 32
  }

  assert {
    condition     = !contains(keys(local.machines), "g6")
    error_message = "AWS Batch chooses the size within a family."
  }
}

run "one_type_with_room_is_enough" {
  command = plan

  variables {
    instance_types      = ["g6.xlarge", "g6.4xlarge", "p3.2xlarge"]
    job                 = { vcpus = 16, memory_mib = 32768 }
    on_demand_max_vcpus = 16
  }

  assert {
    condition     = { for type in var.instance_types : type => local.machines[type] } == { "g6.xlarge" = { vcpus = 4, memory_mib = 16384 }, "g6.4xlarge" = { vcpus = 16, memory_mib = 65536 }, "p3.2xlarge" = { vcpus = 8, memory_mib = 62464 } }
    error_message = "A machine's size follows from its type's name."
  }
}

run "refuses_a_job_with_more_vcpus_than_any_machine" {
  command = plan

  variables {
    job = { vcpus = 8 }
  }

  expect_failures = [var.instance_types]
}

run "refuses_a_job_with_more_memory_than_any_machine_has_left" {
  command = plan

  variables {
    job = { memory_mib = 15360 }
  }

  expect_failures = [var.instance_types]
}

run "refuses_the_certificates_of_all_regions" {
  command = plan

  variables {
    database_ca = join("", [for number in range(200) : "-----BEGIN CERTIFICATE-----\nof a region\n-----END CERTIFICATE-----\n"])
  }

  expect_failures = [var.database_ca]
}

run "without_gpus" {
  command = plan

  variables {
    instance_types = ["c7i.xlarge", "c6i"]
    image_family   = "c6i"
    job            = { gpus = 0 }
  }

  assert {
    condition     = data.aws_ssm_parameter.image_id.name == "/framebatch/runtime/${local.contract.runtime_abi}/c6i/image-id"
    error_message = "The machine image is the one that was published for the family."
  }

  assert {
    condition     = alltrue([for environment in aws_batch_compute_environment.this : environment.compute_resources[0].ec2_configuration[0].image_type == "ECS_AL2023"])
    error_message = "Machines without a GPU use the image without its driver."
  }
}

run "refuses_an_image_from_elsewhere" {
  command = plan

  variables {
    image = "docker.io/framebatch/analysis:1"
  }

  expect_failures = [var.image]
}

run "refuses_no_instance_types" {
  command = plan

  variables {
    instance_types = []
  }

  expect_failures = [var.instance_types]
}

run "refuses_a_size_that_no_family_has" {
  command = plan

  variables {
    instance_types = ["g6.xlarge", "g6.3xlarge"]
  }

  expect_failures = [var.instance_types]
}

run "refuses_machines_without_the_gpu_that_jobs_ask_for" {
  command = plan

  variables {
    instance_types = ["c7i.xlarge"]
    image_family   = "c7i"
  }

  expect_failures = [var.instance_types]
}

run "refuses_arm_machines" {
  command = plan

  variables {
    instance_types = ["g5g.xlarge"]
    image_family   = "g5g"
  }

  expect_failures = [var.instance_types]
}

run "refuses_the_image_of_a_family_that_it_does_not_start" {
  command = plan

  variables {
    instance_types = ["g4dn.xlarge", "g5.xlarge"]
  }

  expect_failures = [var.image_family]
}

run "refuses_too_few_vcpus_on_spot" {
  command = plan

  variables {
    spot_max_vcpus = 2
  }

  expect_failures = [var.spot_max_vcpus]
}

run "refuses_too_few_vcpus_on_demand" {
  command = plan

  variables {
    on_demand_max_vcpus = 2
  }

  expect_failures = [var.on_demand_max_vcpus]
}

run "refuses_a_delay_that_batch_refuses" {
  command = plan

  variables {
    idle_minutes = 5
  }

  expect_failures = [var.idle_minutes]
}

run "refuses_a_limit_before_the_worker_has_moved_the_job" {
  command = plan

  variables {
    runnable_limit_seconds = 3900
  }

  expect_failures = [var.runnable_limit_seconds]
}

run "refuses_a_volume_below_the_image" {
  command = plan

  variables {
    volume_gib = 10
  }

  expect_failures = [var.volume_gib]
}

run "refuses_a_rate_that_ebs_refuses" {
  command = plan

  variables {
    volume_initialization_rate = 50
  }

  expect_failures = [var.volume_initialization_rate]
}

run "refuses_half_a_vcpu" {
  command = plan

  variables {
    job = { vcpus = 0.5 }
  }

  expect_failures = [var.job]
}

run "refuses_too_little_memory" {
  command = plan

  variables {
    job = { memory_mib = 1024 }
  }

  expect_failures = [var.job]
}

run "refuses_two_gpus" {
  command = plan

  variables {
    job = { gpus = 2 }
  }

  expect_failures = [var.job]
}

run "refuses_no_time" {
  command = plan

  variables {
    job = { timeout_seconds = 30 }
  }

  expect_failures = [var.job]
}

run "refuses_settings_that_come_from_elsewhere" {
  command = plan

  variables {
    environment = { DATABASE_URL = "postgresql://elsewhere" }
  }

  expect_failures = [var.environment]
}

run "refuses_an_image_of_another_region" {
  command = plan

  variables {
    image = "123456789012.dkr.ecr.us-east-1.amazonaws.com/framebatch/analysis:0123abc"
  }

  expect_failures = [var.image]
}

run "refuses_an_image_of_another_account" {
  command = plan

  variables {
    image = "210987654321.dkr.ecr.eu-central-1.amazonaws.com/framebatch/analysis:0123abc"
  }

  expect_failures = [var.image]
}

run "refuses_a_size_that_the_zones_do_not_offer" {
  command = plan

  variables {
    instance_types = ["g6.xlarge", "g5.9xlarge"]
  }

  expect_failures = [var.instance_types]
}

run "refuses_certificates_of_another_region" {
  command = plan

  variables {
    database_ca = "-----BEGIN CERTIFICATE-----\nQW1hem9uIFJEUyBldS13ZXN0LTEgUm9vdCBDQSwgb2Ygbm9ib2R5\n-----END CERTIFICATE-----\n"
  }

  expect_failures = [var.database_ca]
}

run "refuses_a_volume_below_the_image_that_is_published" {
  command = plan

  override_data {
    target = data.aws_ami.published
    values = { block_device_mappings = [{ device_name = "/dev/xvda", ebs = { volume_size = "80" } }] }
  }

  expect_failures = [var.volume_gib]
}

run "refuses_a_setting_of_no_such_value" {
  command = plan

  variables {
    environment = { PRECISION = "half", CHUNK_FRAMES = "128" }
  }

  expect_failures = [var.environment]
}

run "refuses_a_family_whose_machine_image_nobody_published" {
  command = plan

  variables {
    image_family = "g5"
  }

  expect_failures = [data.aws_ssm_parameters_by_path.published]
}
