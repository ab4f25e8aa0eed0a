variable "name" {
  type        = string
  description = "The instance's identifier."
}

variable "subnet_ids" {
  type        = list(string)
  description = "Private subnets in at least two zones."
}

variable "availability_zones" {
  type        = list(string)
  description = "Zones of the subnets."
}

variable "security_group_id" {
  type        = string
  description = "Lets the backend and jobs in."
}

variable "engine_version" {
  type        = string
  nullable    = false
  default     = "17"
  description = "Major version of PostgreSQL; minor ones come by themselves, and a higher one in the next maintenance window after it is asked for."

  validation {
    condition     = contains(["15", "16", "17"], var.engine_version)
    error_message = "engine_version must be 15, 16 or 17: a major version alone."
  }
}

variable "instance_class" {
  type        = string
  nullable    = false
  default     = "db.t4g.micro"
  description = "Class of the instance."

  validation {
    condition     = can(regex("^db\\.(t3|t4g)\\.(micro|small|medium|large|2?xlarge)$|^db\\.(m6g|m6i|m7g|m7i|r6g|r6i|r7g|r7i)\\.(large|([248]|12|16)?xlarge)$", var.instance_class))
    error_message = "instance_class must be db., a family (t3, t4g, m6g, m6i, m7g, m7i, r6g, r6i, r7g, r7i) and a size that it has: of t micro to 2xlarge, of the others large to 16xlarge, such as db.t4g.micro or db.m7g.large."
  }
}

variable "storage_gib" {
  type        = number
  nullable    = false
  default     = 20
  description = "Storage to begin with."

  validation {
    condition     = floor(var.storage_gib) == var.storage_gib && var.storage_gib >= 20 && var.storage_gib <= 65536
    error_message = "storage_gib must be a whole number from 20 to 65536, as gp3 asks."
  }
}

variable "max_storage_gib" {
  type        = number
  nullable    = false
  default     = 100
  description = "Up to where the storage grows by itself."

  validation {
    condition     = floor(var.max_storage_gib) == var.max_storage_gib && var.max_storage_gib >= ceil(var.storage_gib * 1.1) && var.max_storage_gib <= 65536
    error_message = "max_storage_gib must be a whole number at least a tenth above storage_gib, and at most 65536."
  }
}

variable "multi_az" {
  type        = bool
  nullable    = false
  default     = false
  description = "Whether a second instance in another zone takes over when this one fails."
}

variable "backup_days" {
  type        = number
  nullable    = false
  default     = 1
  description = "For how many days any second can be restored; 0 makes no backups."

  validation {
    condition     = floor(var.backup_days) == var.backup_days && var.backup_days >= 0 && var.backup_days <= 35
    error_message = "backup_days must be a whole number from 0 to 35."
  }
}

variable "deletion_protection" {
  type        = bool
  nullable    = false
  default     = true
  description = "Whether the database refuses to be destroyed, and leaves a last snapshot when it is allowed to."
}

variable "performance_insights" {
  type        = bool
  nullable    = false
  default     = false
  description = "Whether a week of Performance Insights is kept, which is free."
}

variable "password_version" {
  type        = number
  nullable    = false
  default     = 1
  description = "Raise it to change the password; then deploy the backend anew, which reads it when it starts."

  validation {
    condition     = floor(var.password_version) == var.password_version && var.password_version >= 1
    error_message = "password_version must be a whole number, at least 1."
  }
}

variable "log_retention_days" {
  type        = number
  description = "For how long logs are kept."
}
