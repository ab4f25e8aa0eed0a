# For users who rely on it: every part in several zones, data that survives mistakes, jobs that reach AWS and nothing else.

module "framebatch" {
  source = "../../modules/system"

  domain_name         = var.domain_name
  hosted_zone_id      = var.hosted_zone_id
  certificate_arn     = var.certificate_arn
  analysis_image      = var.analysis_image
  backend_image       = var.backend_image
  migrate_image       = var.migrate_image
  lambda_package      = var.lambda_package
  database_ca_bundle  = var.database_ca_bundle
  mail                = var.mail
  deletion_protection = true
  log_retention_days  = 90

  # The NAT gateway is for webhooks of users and for mail, which wait while its zone is away; AWS is reached in every zone.
  network = {
    availability_zones  = var.availability_zones
    nat_gateways        = 1
    interface_endpoints = true
  }

  storage = {
    versioned        = true
    old_version_days = 30
  }

  database = {
    instance_class       = "db.m7g.large"
    storage_gib          = 100
    max_storage_gib      = 4000
    multi_az             = true
    backup_days          = 14
    performance_insights = true
  }

  submitter = { maximum_concurrency = 10 }

  jobs = {
    instance_types      = ["g4dn.xlarge", "g4dn.2xlarge", "g5.xlarge", "g5.2xlarge", "g6.xlarge", "g6.2xlarge"]
    spot_max_vcpus      = 384
    on_demand_max_vcpus = 64
    idle_minutes        = 20
    environment         = { PRECISION = "native" }
  }

  backend = {
    sizes = {
      api    = { cpu = 512, memory_mib = 1024, tasks = 2 }
      worker = { cpu = 512, memory_mib = 2048, tasks = 2 }
    }
    api_max_tasks      = 10
    container_insights = true
  }

  alarms = {
    emails                   = var.alarm_emails
    monthly_budget_usd       = var.monthly_budget_usd
    failed_analyses_per_hour = 50
    database_connections     = 700
  }
}
