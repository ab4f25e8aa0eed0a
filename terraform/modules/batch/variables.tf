variable "name" {
  type        = string
  description = "Name of the standard job queue, and the beginning of all other names."
}

variable "image" {
  type        = string
  description = "Image of the job's container in ECR, by its digest or an immutable tag."

  validation {
    condition     = can(regex("^[0-9]{12}\\.dkr\\.ecr\\.[a-z0-9-]+\\.amazonaws\\.com/[a-z0-9._/-]+(@sha256:[0-9a-f]{64}|:[A-Za-z0-9._-]+)$", var.image)) && !endswith(var.image, ":latest")
    error_message = "The job's image must be one in ECR with its digest or its tag, such as 123456789012.dkr.ecr.eu-central-1.amazonaws.com/framebatch/analysis@sha256:..., and not :latest, which says nothing."
  }

  validation {
    condition     = startswith(var.image, local.registry)
    error_message = "The job's image must lie in the registry of this account and region, ${local.registry}, where its role may pull it and the network lets it."
  }
}

variable "availability_zones" {
  type        = list(string)
  description = "Zones of the subnets."
}

variable "instance_types" {
  type        = list(string)
  nullable    = false
  default     = ["g4dn.xlarge", "g5.xlarge", "g6.xlarge"]
  description = "Types or families of machines; several, since Spot takes what is there. x86_64, which the machine image is made for, and all with a GPU of NVIDIA or all without, as the job asks."

  validation {
    condition     = length(var.instance_types) > 0 && alltrue([for type in var.instance_types : can(regex("^[a-z][a-z0-9-]*[0-9][a-z0-9-]*(\\.[a-z0-9]+)?$", type))])
    error_message = "The instance_types must be at least one type or family of EC2, such as g6.xlarge or g6."
  }

  validation {
    condition     = length(setsubtract(var.instance_types, local.known_types)) == 0
    error_message = "The instance_types ${join(", ", setsubtract(var.instance_types, local.known_types))} are none that instance_types.tf of this module knows: a size that does not exist, or a family whose memory has to be written there first."
  }

  validation {
    condition     = length(setsubtract(var.instance_types, local.offered)) == 0
    error_message = "The instance_types ${join(", ", setsubtract(var.instance_types, local.offered))} are offered in none of the zones ${join(", ", var.availability_zones)}: take others, or zones that have them."
  }

  validation {
    condition     = alltrue([for type in var.instance_types : can(regex("^(g4dn|g5|g6|g6e|gr6|p3|p3dn|p4d|p4de|p5|p5e|p5en)(\\.|$)", type)) == (var.job.gpus > 0)])
    error_message = "The instance_types must all have a GPU of NVIDIA and an x86_64 processor (families g4dn, g5, g6, g6e, gr6, p3 to p5) where the job asks for a GPU, and none of them where it asks for none."
  }

  validation {
    condition     = anytrue([for type in var.instance_types : try(local.machines[type].vcpus >= var.job.vcpus && local.machines[type].memory_mib * 0.9 >= var.job.memory_mib, contains(keys(local.memory_gib_per_vcpu), type))])
    error_message = "None of the instance_types has room for a job of ${var.job.vcpus} vCPUs and ${var.job.memory_mib} MiB, since a machine needs a tenth of its memory itself: it would wait without end."
  }
}

variable "image_family" {
  type        = string
  nullable    = false
  default     = "g6"
  description = "Family of machines whose machine image all of them start from: the instance_type it was baked with. Its TensorRT engines open on that family, and the others run torch."

  validation {
    condition     = contains([for type in var.instance_types : split(".", type)[0]], var.image_family)
    error_message = "The image_family ${var.image_family} is not the family of any of the instance_types; machines start from the image that was baked on one of them."
  }
}

variable "spot_max_vcpus" {
  type        = number
  description = "Most vCPUs that run on Spot at a time, and so the most that a runaway can cost."

  validation {
    condition     = floor(var.spot_max_vcpus) == var.spot_max_vcpus && var.spot_max_vcpus >= var.job.vcpus
    error_message = "spot_max_vcpus must be a whole number and let at least one job run: no less than the job's vcpus."
  }
}

variable "on_demand_max_vcpus" {
  type        = number
  description = "Most vCPUs that run On-Demand at a time."

  validation {
    condition     = floor(var.on_demand_max_vcpus) == var.on_demand_max_vcpus && var.on_demand_max_vcpus >= var.job.vcpus
    error_message = "on_demand_max_vcpus must be a whole number and let at least one job run: no less than the job's vcpus."
  }
}

variable "idle_minutes" {
  type        = number
  default     = null
  description = "How long a machine waits for another job before it leaves, 20 to 10080; null leaves it to AWS Batch, which lets it go soon after its last job. Setting it takes AWS's command line on the machine that applies."

  validation {
    condition     = var.idle_minutes == null ? true : floor(var.idle_minutes) == var.idle_minutes && var.idle_minutes >= 20 && var.idle_minutes <= 10080
    error_message = "idle_minutes must be null or a whole number from 20 to 10080, as AWS Batch asks."
  }
}

variable "runnable_limit_seconds" {
  type        = number
  nullable    = false
  default     = 7200
  description = "After how long a job that cannot start, for want of machines or by a mistake in its definition, is ended; later than the worker, which moves it On-Demand after 10 minutes and ends it there after 60."

  validation {
    condition     = floor(var.runnable_limit_seconds) == var.runnable_limit_seconds && var.runnable_limit_seconds > 3900 && var.runnable_limit_seconds <= 86400
    error_message = "runnable_limit_seconds must be a whole number above 3900, which leaves the worker its hour and five minutes more, and at most 86400, as AWS Batch asks."
  }
}

variable "volume_gib" {
  type        = number
  nullable    = false
  default     = 60
  description = "Size of a machine's volume: the image, the containers, and a video for each job at a time."

  validation {
    condition     = floor(var.volume_gib) == var.volume_gib && var.volume_gib >= 30 && var.volume_gib <= 16384
    error_message = "volume_gib must be a whole number from 30, the size of the machine image, to 16384."
  }

  validation {
    condition     = alltrue([for gib in local.image_gib : var.volume_gib >= gib])
    error_message = "volume_gib must be no less than the ${join(", ", local.image_gib)} GiB of the machine image that is published."
  }
}

variable "volume_initialization_rate" {
  type        = number
  nullable    = false
  default     = 300
  description = "MiB per second at which a new machine's volume is filled from the image's snapshot, which is paid for."

  validation {
    condition     = floor(var.volume_initialization_rate) == var.volume_initialization_rate && var.volume_initialization_rate >= 100 && var.volume_initialization_rate <= 300
    error_message = "volume_initialization_rate must be a whole number from 100 to 300, as EBS asks."
  }
}

variable "job" {
  type = object({
    vcpus           = optional(number, 4)
    memory_mib      = optional(number, 12288)
    gpus            = optional(number, 1)
    timeout_seconds = optional(number, 14400)
  })
  nullable    = false
  default     = {}
  description = "What one job takes of a machine, and how long one attempt may last. Memory must leave a machine about a tenth for itself."

  validation {
    condition     = floor(var.job.vcpus) == var.job.vcpus && var.job.vcpus >= 1
    error_message = "The job's vcpus must be a whole number, at least 1."
  }

  validation {
    condition     = floor(var.job.memory_mib) == var.job.memory_mib && var.job.memory_mib >= 2048
    error_message = "The job's memory_mib must be a whole number, at least 2048."
  }

  validation {
    condition     = contains([0, 1], var.job.gpus)
    error_message = "The job's gpus must be 0 or 1: an analysis uses one."
  }

  validation {
    condition     = floor(var.job.timeout_seconds) == var.job.timeout_seconds && var.job.timeout_seconds >= 60
    error_message = "The job's timeout_seconds must be a whole number, at least 60, as AWS Batch asks."
  }
}

variable "environment" {
  type        = map(string)
  nullable    = false
  default     = {}
  description = "Settings of the job, such as PRECISION."

  validation {
    condition     = length(setsubtract(keys(var.environment), keys(local.settings))) == 0
    error_message = "The job's environment may set ${join(", ", keys(local.settings))}; all else comes from other resources."
  }

  validation {
    condition     = alltrue([for name, value in var.environment : can(regex(local.settings[name].pattern, value)) if can(local.settings[name])])
    error_message = "A setting of the job has a value that it does not take: ${join("; ", [for name, value in var.environment : "${name} must be ${local.settings[name].words}" if can(local.settings[name]) && !can(regex(local.settings[name].pattern, value))])}."
  }
}

variable "subnet_ids" {
  type        = list(string)
  description = "Where machines start."
}

variable "security_group_id" {
  type        = string
  description = "Lets nothing in."
}

variable "bucket" {
  type        = string
  description = "Name of the media bucket."
}

variable "bucket_arn" {
  type        = string
  description = "ARN of the media bucket."
}

variable "database_url" {
  type        = string
  description = "Address of the database, without the password and the path of the authorities' certificates."
}

variable "database_ca" {
  type        = string
  description = "Certificates, as PEM, of the authorities that sign the database's; each machine gets them when it starts."

  validation {
    condition     = strcontains(var.database_ca, "-----BEGIN CERTIFICATE-----") && length(var.database_ca) <= 10000
    error_message = "The database's certificates must be the region's bundle of RDS, as PEM: at most 10,000 characters, since a machine gets them with its user data, into which the bundle of all regions does not fit."
  }

  validation {
    condition     = anytrue([for certificate in regexall("-----BEGIN CERTIFICATE-----([^-]*)-----END", var.database_ca) : strcontains(try(textdecodebase64(replace(certificate[0], "/\\s/", ""), "ISO-8859-1"), ""), "Amazon RDS ${data.aws_region.current.name} Root CA")])
    error_message = "The database's certificates must be those of this region: none of them is of an Amazon RDS ${data.aws_region.current.name} Root CA, as https://truststore.pki.rds.amazonaws.com/${data.aws_region.current.name}/${data.aws_region.current.name}-bundle.pem gives them."
  }
}

variable "database_password_secret_arn" {
  type        = string
  description = "Secret that holds the password."
}

variable "log_retention_days" {
  type        = number
  description = "For how long logs are kept."
}
