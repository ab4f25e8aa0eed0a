# The cheapest that works: nothing runs twice, nothing is kept long, and no NAT gateway is paid for.

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
  deletion_protection = false
  log_retention_days  = 14

  # Jobs and the backend have public addresses, and security groups that let nothing in but the load balancer.
  network = { availability_zones = var.availability_zones }

  database = {
    instance_class = "db.t4g.micro"
    backup_days    = 1
  }

  jobs = {
    spot_max_vcpus      = 16
    on_demand_max_vcpus = 8
    environment         = { PRECISION = "native" }
  }

  backend = {
    sizes = {
      api    = { cpu = 256, memory_mib = 512, tasks = 1 }
      worker = { cpu = 256, memory_mib = 1024, tasks = 1 }
    }
    api_max_tasks = 2
  }

  alarms = {
    emails             = var.alarm_emails
    monthly_budget_usd = var.monthly_budget_usd
  }
}
