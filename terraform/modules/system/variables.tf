variable "name" {
  type        = string
  nullable    = false
  default     = "framebatch"
  description = "Begins every name, so that two environments can live in one account."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = "The name must be 2 to 20 small letters, digits and hyphens, begin with a letter and not end in a hyphen: a load balancer's name has room for no more."
  }

  validation {
    condition     = !strcontains(var.name, "--")
    error_message = "The name must not have two hyphens in a row, which a database's name may not."
  }

  validation {
    condition     = !can(regex("^(aws$|internal-|sg-|sthree-|amzn-s3-demo-)", var.name))
    error_message = "The name must not be aws, nor begin with internal-, sg-, sthree- or amzn-s3-demo-, which AWS keeps for itself."
  }
}

variable "domain_name" {
  type        = string
  description = "Where users find the product, such as video.example.org."
}

variable "hosted_zone_id" {
  type        = string
  default     = null
  description = "Route 53 zone of the domain: certificate and address are made in it. Null where the domain is kept elsewhere."
}

variable "certificate_arn" {
  type        = string
  default     = null
  description = "Certificate of the domain in ACM, where there is no hosted_zone_id."
}

variable "analysis_image" {
  type        = string
  description = "Image of the job's container in ECR, by its digest or an immutable tag."
}

variable "backend_image" {
  type        = string
  description = "Image of the backend in ECR, by its digest or an immutable tag."
}

variable "migrate_image" {
  type        = string
  default     = null
  description = "Image of the task that migrates, where it shall be the next one: its tables are made before its code serves. Null for backend_image."
}

variable "lambda_package" {
  type        = string
  description = "Path of the Lambda's zip file, as `make lambda-zip` makes it."
}

variable "database_ca_bundle" {
  type        = string
  description = "Path of the region's certificates of RDS, as https://truststore.pki.rds.amazonaws.com/REGION/REGION-bundle.pem gives them, against which the database's is verified."

  validation {
    condition     = fileexists(var.database_ca_bundle)
    error_message = "There is no file at the path of the database_ca_bundle; curl -O https://truststore.pki.rds.amazonaws.com/REGION/REGION-bundle.pem gets it."
  }
}

variable "mail" {
  type        = object({ url_secret_arn = string, port = optional(number, 465) })
  default     = null
  description = "Secret that holds MAIL_URL, made and filled by an operator, and the mail server's port, which the network then lets through. Null sends no mail."
}

variable "deletion_protection" {
  type        = bool
  nullable    = false
  default     = true
  description = "Whether what holds data refuses to be destroyed: database, load balancer, secrets, and a bucket that is not empty."
}

variable "log_retention_days" {
  type        = number
  nullable    = false
  default     = 30
  description = "For how long every log is kept."

  validation {
    condition     = contains([1, 3, 5, 7, 14, 30, 60, 90, 120, 150, 180, 365, 400, 545, 731, 1096, 1827, 2192, 2557, 2922, 3288, 3653], var.log_retention_days)
    error_message = "log_retention_days must be a number of days that CloudWatch offers, such as 7, 14, 30, 90 or 365."
  }
}

variable "network" {
  type = object({
    availability_zones  = list(string)
    cidr                = optional(string)
    nat_gateways        = optional(number)
    interface_endpoints = optional(bool)
    allowed_cidrs       = optional(list(string))
    webhook_ports       = optional(list(number))
  })
  description = "Arguments of the module network; webhook_ports also of the module backend, which refuses other webhooks."
}

variable "storage" {
  type = object({
    versioned              = optional(bool)
    old_version_days       = optional(number)
    incomplete_upload_days = optional(number)
  })
  nullable    = false
  default     = {}
  description = "Arguments of the module storage."
}

variable "database" {
  type = object({
    engine_version       = optional(string)
    instance_class       = optional(string)
    storage_gib          = optional(number)
    max_storage_gib      = optional(number)
    multi_az             = optional(bool)
    backup_days          = optional(number)
    performance_insights = optional(bool)
    password_version     = optional(number)
  })
  nullable    = false
  default     = {}
  description = "Arguments of the module database."
}

variable "submitter" {
  type = object({
    timeout_seconds     = optional(number, 30)
    maximum_concurrency = optional(number)
    max_receives        = optional(number)
  })
  nullable    = false
  default     = {}
  description = "Arguments of the modules submitter and queues: how long the Lambda may take, how many run at a time, how often a request is tried."
}

variable "jobs" {
  type = object({
    spot_max_vcpus             = number
    on_demand_max_vcpus        = number
    instance_types             = optional(list(string))
    image_family               = optional(string)
    idle_minutes               = optional(number)
    runnable_limit_seconds     = optional(number)
    volume_gib                 = optional(number)
    volume_initialization_rate = optional(number)
    environment                = optional(map(string))
    job = optional(object({
      vcpus           = optional(number)
      memory_mib      = optional(number)
      gpus            = optional(number)
      timeout_seconds = optional(number)
    }))
  })
  description = "Arguments of the module batch."
}

variable "backend" {
  type = object({
    sizes = object({
      api    = object({ cpu = number, memory_mib = number, tasks = number })
      worker = object({ cpu = number, memory_mib = number, tasks = number })
    })
    api_max_tasks      = number
    environment        = optional(map(string))
    secret_key_version = optional(number)
    container_insights = optional(bool)
  })
  description = "Arguments of the module backend."
}

variable "alarms" {
  type = object({
    emails                   = list(string)
    monthly_budget_usd       = number
    failed_analyses_per_hour = optional(number)
    database_connections     = optional(number)
  })
  description = "Arguments of the module observability."
}
