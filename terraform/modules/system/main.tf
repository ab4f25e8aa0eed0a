# The whole product: every part once, in the order of the data's way.

locals {
  backend_port = 8000
  database_ca  = file(var.database_ca_bundle)
}

module "network" {
  source = "../network"

  name                = var.name
  cidr                = var.network.cidr
  availability_zones  = var.network.availability_zones
  nat_gateways        = var.network.nat_gateways
  interface_endpoints = var.network.interface_endpoints
  allowed_cidrs       = var.network.allowed_cidrs
  webhook_ports       = var.network.webhook_ports
  mail_port           = try(var.mail.port, null)
  backend_port        = local.backend_port
}

module "storage" {
  source = "../storage"

  name                   = var.name
  allowed_origins        = ["https://${var.domain_name}"]
  versioned              = var.storage.versioned
  old_version_days       = var.storage.old_version_days
  incomplete_upload_days = var.storage.incomplete_upload_days
  force_destroy          = !var.deletion_protection
}

module "database" {
  source = "../database"

  name                 = var.name
  availability_zones   = var.network.availability_zones
  subnet_ids           = module.network.private_subnet_ids
  security_group_id    = module.network.security_group_ids["database"]
  engine_version       = var.database.engine_version
  instance_class       = var.database.instance_class
  storage_gib          = var.database.storage_gib
  max_storage_gib      = var.database.max_storage_gib
  multi_az             = var.database.multi_az
  backup_days          = var.database.backup_days
  performance_insights = var.database.performance_insights
  password_version     = var.database.password_version
  deletion_protection  = var.deletion_protection
  log_retention_days   = var.log_retention_days
}

module "queues" {
  source = "../queues"

  name                      = var.name
  submitter_timeout_seconds = var.submitter.timeout_seconds
  max_receives              = var.submitter.max_receives
}

module "submitter" {
  source = "../submitter"

  name                 = var.name
  package              = var.lambda_package
  timeout_seconds      = var.submitter.timeout_seconds
  maximum_concurrency  = var.submitter.maximum_concurrency
  requests_queue_arn   = module.queues.requests_arn
  job_events_queue_arn = module.queues.job_events_arn
  job_queue_arns       = values(module.batch.job_queue_arns)
  job_definition_arn   = module.batch.job_definition_arn
  log_retention_days   = var.log_retention_days

  environment = {
    JOB_QUEUE                      = module.batch.job_queues["standard"]
    JOB_QUEUE_ENTERPRISE           = module.batch.job_queues["enterprise"]
    JOB_QUEUE_ON_DEMAND            = module.batch.job_queues["on-demand"]
    JOB_QUEUE_ON_DEMAND_ENTERPRISE = module.batch.job_queues["on-demand-enterprise"]
    JOB_DEFINITION                 = module.batch.job_definition
    JOB_EVENTS_QUEUE_URL           = module.queues.job_events_url
  }
}

module "batch" {
  source = "../batch"

  name                         = var.name
  image                        = var.analysis_image
  instance_types               = var.jobs.instance_types
  image_family                 = var.jobs.image_family
  spot_max_vcpus               = var.jobs.spot_max_vcpus
  on_demand_max_vcpus          = var.jobs.on_demand_max_vcpus
  idle_minutes                 = var.jobs.idle_minutes
  runnable_limit_seconds       = var.jobs.runnable_limit_seconds
  volume_gib                   = var.jobs.volume_gib
  volume_initialization_rate   = var.jobs.volume_initialization_rate
  job                          = var.jobs.job
  environment                  = var.jobs.environment
  availability_zones           = var.network.availability_zones
  subnet_ids                   = module.network.workload_subnet_ids
  security_group_id            = module.network.security_group_ids["jobs"]
  bucket                       = module.storage.bucket
  bucket_arn                   = module.storage.bucket_arn
  database_url                 = module.database.url
  database_ca                  = local.database_ca
  database_password_secret_arn = module.database.password_secret_arn
  log_retention_days           = var.log_retention_days
}

module "events" {
  source = "../events"

  name                 = var.name
  job_queue_arns       = values(module.batch.job_queue_arns)
  job_events_queue_url = module.queues.job_events_url
  job_events_queue_arn = module.queues.job_events_arn
}

module "backend" {
  source = "../backend"

  name                            = var.name
  image                           = var.backend_image
  migrate_image                   = var.migrate_image
  image_family                    = module.batch.image_family
  domain_name                     = var.domain_name
  hosted_zone_id                  = var.hosted_zone_id
  certificate_arn                 = var.certificate_arn
  port                            = local.backend_port
  load_balancer_cidrs             = module.network.load_balancer_cidrs
  webhook_ports                   = var.network.webhook_ports
  mail_url_secret_arn             = try(var.mail.url_secret_arn, null)
  sizes                           = var.backend.sizes
  api_max_tasks                   = var.backend.api_max_tasks
  environment                     = var.backend.environment
  secret_key_version              = var.backend.secret_key_version
  container_insights              = var.backend.container_insights
  deletion_protection             = var.deletion_protection
  vpc_id                          = module.network.vpc_id
  public_subnet_ids               = module.network.public_subnet_ids
  subnet_ids                      = module.network.workload_subnet_ids
  public_addresses                = module.network.public_addresses
  load_balancer_security_group_id = module.network.security_group_ids["load_balancer"]
  security_group_id               = module.network.security_group_ids["backend"]
  database_url                    = module.database.url
  database_ca                     = local.database_ca
  database_password_secret_arn    = module.database.password_secret_arn
  bucket                          = module.storage.bucket
  bucket_arn                      = module.storage.bucket_arn
  requests_queue_url              = module.queues.requests_url
  requests_queue_arn              = module.queues.requests_arn
  dead_requests_queue_url         = module.queues.dead_requests_url
  dead_requests_queue_arn         = module.queues.dead_requests_arn
  job_events_queue_url            = module.queues.job_events_url
  job_events_queue_arn            = module.queues.job_events_arn
  log_retention_days              = var.log_retention_days
}

module "observability" {
  source = "../observability"

  name                     = var.name
  emails                   = var.alarms.emails
  monthly_budget_usd       = var.alarms.monthly_budget_usd
  failed_analyses_per_hour = var.alarms.failed_analyses_per_hour
  database_connections     = var.alarms.database_connections
  queue_names              = module.queues.names
  undelivered_queue_name   = module.events.undelivered_queue_name
  function_name            = module.submitter.function_name
  job_queue_arns           = values(module.batch.job_queue_arns)
  jobs_log_group           = module.batch.log_group
  worker_log_group         = module.backend.log_groups["worker"]
  load_balancer_suffix     = module.backend.load_balancer_suffix
  database_identifier      = module.database.identifier
  database_storage_gib     = module.database.storage_gib
  log_retention_days       = var.log_retention_days
}
