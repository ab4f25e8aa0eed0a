variable "name" {
  type        = string
  description = "Name of the cluster and the load balancer, and the beginning of all other names."
}

variable "image" {
  type        = string
  description = "Image of the backend in ECR, by its digest or an immutable tag."

  validation {
    condition     = can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.amazonaws\\.com/[a-z0-9._/-]+(@sha256:[0-9a-f]{64}|:[A-Za-z0-9._-]+)$", var.image)) && !endswith(var.image, ":latest")
    error_message = "The backend's image must be one in ECR with its digest or its tag, such as 123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/backend@sha256:..., and not :latest, which says nothing."
  }

  validation {
    condition     = startswith(var.image, local.registry)
    error_message = "The backend's image must lie in the registry of this account and region, ${local.registry}, where its role may pull it and the network lets it."
  }
}

variable "migrate_image" {
  type        = string
  default     = null
  description = "Image of the task that migrates, where it shall be another than the services': the next one, whose tables are made before its code serves. Null for the same."

  validation {
    condition     = var.migrate_image == null ? true : can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.amazonaws\\.com/[a-z0-9._/-]+(@sha256:[0-9a-f]{64}|:[A-Za-z0-9._-]+)$", var.migrate_image)) && !endswith(var.migrate_image, ":latest")
    error_message = "The migrate_image must be null, or an image in ECR with its digest or its tag, and not :latest, which says nothing."
  }

  validation {
    condition     = var.migrate_image == null ? true : startswith(var.migrate_image, local.registry)
    error_message = "The migrate_image must lie in the registry of this account and region, ${local.registry}, as the image of the services does."
  }
}

variable "image_family" {
  type        = string
  description = "Family of machines whose machine image jobs run on: which models there are is read of its manifest."
}

variable "domain_name" {
  type        = string
  description = "Where users find the product, such as video.example.org."

  validation {
    condition     = can(regex("^([a-z0-9]([a-z0-9-]*[a-z0-9])?\\.)+[a-z]{2,}$", var.domain_name)) && length(var.domain_name) <= 64
    error_message = "The domain_name must be a host's name in small letters, at most 64 of them, such as video.example.org, without https:// and a path."
  }
}

variable "hosted_zone_id" {
  type        = string
  default     = null
  description = "Route 53 zone of the domain: certificate and address are made in it. Null where the domain is kept elsewhere."

  validation {
    condition     = var.hosted_zone_id == null ? true : can(regex("^[A-Z0-9]{8,32}$", var.hosted_zone_id))
    error_message = "The hosted_zone_id must be the id of a Route 53 zone, such as Z0123456789ABCDEFGHIJ, or null."
  }
}

variable "certificate_arn" {
  type        = string
  default     = null
  description = "Certificate of the domain in ACM, in the region, where there is no hosted_zone_id; the domain must then point at the load balancer."

  validation {
    condition     = var.certificate_arn == null ? true : can(regex("^arn:aws[a-z-]*:acm:[a-z0-9-]+:[0-9]{12}:certificate/.+$", var.certificate_arn))
    error_message = "The certificate_arn must be the ARN of a certificate in ACM, or null."
  }

  validation {
    condition     = try(split(":", var.certificate_arn)[3] == data.aws_region.current.name && split(":", var.certificate_arn)[4] == data.aws_caller_identity.current.account_id, true)
    error_message = "The certificate_arn must be of this region, ${data.aws_region.current.name}, and this account, ${data.aws_caller_identity.current.account_id}: a load balancer takes no other's. Those of CloudFront, in us-east-1, do not count elsewhere."
  }

  validation {
    condition     = (var.certificate_arn == null) != (var.hosted_zone_id == null)
    error_message = "Give either hosted_zone_id, in which a certificate is made, or certificate_arn: HTTPS needs one of them."
  }
}

variable "port" {
  type        = number
  description = "Where the API listens."
}

variable "load_balancer_cidrs" {
  type        = list(string)
  description = "Addresses of the load balancer's subnets: what it says of a request's origin is believed, and what anybody else says is not."

  validation {
    condition     = length(var.load_balancer_cidrs) > 0 && alltrue([for cidr in var.load_balancer_cidrs : can(cidrnetmask(cidr)) && cidr != "0.0.0.0/0"])
    error_message = "The load_balancer_cidrs must be blocks of IPv4 addresses, such as 10.40.0.0/20, and not all of them: anybody could then name any address as his own."
  }
}

variable "sizes" {
  type = object({
    api    = object({ cpu = number, memory_mib = number, tasks = number })
    worker = object({ cpu = number, memory_mib = number, tasks = number })
  })
  description = "CPU units (1024 are a core), memory and tasks of the API, to begin with, and of the worker."

  validation {
    condition = alltrue([for size in values(var.sizes) : contains(
      lookup(
        {
          "256"  = [512, 1024, 2048]
          "512"  = [for gib in range(1, 5) : gib * 1024]
          "1024" = [for gib in range(2, 9) : gib * 1024]
          "2048" = [for gib in range(4, 17) : gib * 1024]
          "4096" = [for gib in range(8, 31) : gib * 1024]
        },
        tostring(size.cpu),
        [],
      ),
      size.memory_mib,
    )])
    error_message = "The sizes must be ones that Fargate offers: cpu 256 with memory_mib 512, 1024 or 2048; 512 with 1 to 4 GiB; 1024 with 2 to 8; 2048 with 4 to 16; 4096 with 8 to 30."
  }

  validation {
    condition     = alltrue([for size in values(var.sizes) : floor(size.tasks) == size.tasks && size.tasks >= 1])
    error_message = "The sizes must ask for at least one task each: without the worker no request is ever sent."
  }

  validation {
    condition     = var.sizes.worker.memory_mib >= 1024
    error_message = "The sizes must give the worker a memory_mib of at least 1024: half is its own, the rest is for a look at an upload."
  }
}

variable "api_max_tasks" {
  type        = number
  description = "Up to how many tasks the API grows by itself."

  validation {
    condition     = floor(var.api_max_tasks) == var.api_max_tasks && var.api_max_tasks >= var.sizes.api.tasks
    error_message = "api_max_tasks must be a whole number, no less than the tasks that the API begins with."
  }
}

variable "environment" {
  type        = map(string)
  nullable    = false
  default     = {}
  description = "Settings of the backend, such as SOURCE_URL, LOG_LEVEL and KEEP_ANALYSES_DAYS; no secrets."

  validation {
    condition     = length(setsubtract(keys(var.environment), keys(local.settings))) == 0
    error_message = "The backend's environment may set ${join(", ", keys(local.settings))}, and not ${join(", ", setsubtract(keys(var.environment), keys(local.settings)))}: all else comes from other resources or variables, is for development, or is read by nobody."
  }

  validation {
    condition     = alltrue([for name, value in var.environment : can(regex(local.settings[name].pattern, value)) if can(local.settings[name])])
    error_message = "A setting of the backend has a value that it does not take: ${join("; ", [for name, value in var.environment : "${name} must be ${local.settings[name].words}" if can(local.settings[name]) && !can(regex(local.settings[name].pattern, value))])}."
  }
}

variable "mail_url_secret_arn" {
  type        = string
  default     = null
  description = "Secret that holds MAIL_URL, for forgotten passwords; made and filled by an operator, since its value belongs to a mail server. Null sends no mail."

  validation {
    condition     = var.mail_url_secret_arn == null ? true : can(regex("^arn:aws[a-z-]*:secretsmanager:[a-z0-9-]+:[0-9]{12}:secret:[A-Za-z0-9/_+=.@-]+-[A-Za-z0-9]{6}$", var.mail_url_secret_arn))
    error_message = "The mail_url_secret_arn must be the whole ARN of a secret, with the six characters that Secrets Manager puts behind its name, or null."
  }

  validation {
    condition     = try(split(":", var.mail_url_secret_arn)[3] == data.aws_region.current.name && split(":", var.mail_url_secret_arn)[4] == data.aws_caller_identity.current.account_id, true)
    error_message = "The mail_url_secret_arn must be of this region, ${data.aws_region.current.name}, and this account, ${data.aws_caller_identity.current.account_id}: the API's containers start with no other."
  }
}

variable "webhook_ports" {
  type        = list(number)
  nullable    = false
  default     = [443]
  description = "Ports of users' webhooks that the network lets through; the API refuses others."
}

variable "secret_key_version" {
  type        = number
  nullable    = false
  default     = 1
  description = "Raise it to change Django's key, which signs everybody out; then deploy the backend anew."

  validation {
    condition     = floor(var.secret_key_version) == var.secret_key_version && var.secret_key_version >= 1
    error_message = "secret_key_version must be a whole number, at least 1."
  }
}

variable "container_insights" {
  type        = bool
  nullable    = false
  default     = false
  description = "Whether CloudWatch keeps metrics of each task, which are paid for."
}

variable "deletion_protection" {
  type        = bool
  nullable    = false
  default     = true
  description = "Whether the load balancer refuses to be destroyed, and a destroyed secret can be brought back for 30 days."
}

variable "vpc_id" {
  type        = string
  description = "Network of the load balancer's targets."
}

variable "public_subnet_ids" {
  type        = list(string)
  description = "Subnets of the load balancer."
}

variable "subnet_ids" {
  type        = list(string)
  description = "Subnets of the tasks."
}

variable "public_addresses" {
  type        = bool
  description = "Whether tasks need public addresses to reach AWS."
}

variable "load_balancer_security_group_id" {
  type        = string
  description = "Lets browsers in."
}

variable "security_group_id" {
  type        = string
  description = "Lets the load balancer in."
}

variable "database_url" {
  type        = string
  description = "Address of the database, without the password and the path of the authorities' certificates."
}

variable "database_ca" {
  type        = string
  description = "Certificates, as PEM, of the authorities that sign the database's."
}

variable "database_password_secret_arn" {
  type        = string
  description = "Secret that holds the password."
}

variable "bucket" {
  type        = string
  description = "Name of the media bucket."
}

variable "bucket_arn" {
  type        = string
  description = "ARN of the media bucket."
}

variable "requests_queue_url" {
  type        = string
  description = "Where the worker sends requests."
}

variable "requests_queue_arn" {
  type        = string
  description = "ARN of the same queue."
}

variable "dead_requests_queue_url" {
  type        = string
  description = "Dead letters of requests, which the worker reads."
}

variable "dead_requests_queue_arn" {
  type        = string
  description = "ARN of the same queue."
}

variable "job_events_queue_url" {
  type        = string
  description = "What AWS Batch says of its jobs, which the worker reads."
}

variable "job_events_queue_arn" {
  type        = string
  description = "ARN of the same queue."
}

variable "log_retention_days" {
  type        = number
  description = "For how long logs are kept."
}
