variable "name" {
  type        = string
  description = "Begins the bucket's name."
}

variable "allowed_origins" {
  type        = list(string)
  description = "Origins whose pages may send to the bucket and read from it, such as https://video.example.org."

  validation {
    condition     = length(var.allowed_origins) > 0 && alltrue([for origin in var.allowed_origins : can(regex("^https://[a-z0-9.-]+(:[0-9]+)?$", origin))])
    error_message = "Each of the allowed_origins must be https://host, without a path, and there must be at least one."
  }
}

variable "versioned" {
  type        = bool
  nullable    = false
  default     = false
  description = "Whether what is deleted or replaced is kept for old_version_days."
}

variable "old_version_days" {
  type        = number
  nullable    = false
  default     = 30
  description = "For how long a versioned bucket keeps what was deleted or replaced."

  validation {
    condition     = floor(var.old_version_days) == var.old_version_days && var.old_version_days >= 1
    error_message = "old_version_days must be a whole number of days, at least 1."
  }
}

variable "incomplete_upload_days" {
  type        = number
  nullable    = false
  default     = 7
  description = "After how many days S3 removes the parts of an unfinished upload that the worker does not know; no upload may take longer."

  validation {
    condition     = floor(var.incomplete_upload_days) == var.incomplete_upload_days && var.incomplete_upload_days >= 1
    error_message = "incomplete_upload_days must be a whole number of days, at least 1."
  }
}

variable "force_destroy" {
  type        = bool
  nullable    = false
  default     = false
  description = "Whether `terraform destroy` removes the bucket with all videos and results in it."
}
