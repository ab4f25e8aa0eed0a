variable "name" {
  type        = string
  description = "Begins the function's name."
}

variable "package" {
  type        = string
  description = "Path of the function's zip file, as `make lambda-zip` makes it."

  validation {
    condition     = fileexists(var.package)
    error_message = "There is no file at the path of the Lambda's package; `make lambda-zip` makes it."
  }

  validation {
    condition     = endswith(var.package, ".zip")
    error_message = "The Lambda's package must be a zip file, whose name ends in .zip; `make lambda-zip` makes it."
  }

  validation {
    condition     = fileexists(var.package) ? startswith(filebase64(var.package), "UEsD") : true # as a zip file begins that has files
    error_message = "The Lambda's package ${var.package} is no zip file, or has nothing in it; `make lambda-zip` makes it."
  }
}

variable "environment" {
  type        = map(string)
  description = "Environment of the function: the job queues, the job definition, the queue of job events."
}

variable "timeout_seconds" {
  type        = number
  description = "How long the function may take for a batch of requests; the queue's visibility follows from it."
}

variable "maximum_concurrency" {
  type        = number
  nullable    = false
  default     = 2
  description = "How many batches of requests are submitted at a time. AWS Batch takes 50 SubmitJob calls per second and account."

  validation {
    condition     = floor(var.maximum_concurrency) == var.maximum_concurrency && var.maximum_concurrency >= 2 && var.maximum_concurrency <= 1000
    error_message = "maximum_concurrency must be a whole number from 2, the least that Lambda allows, to 1000."
  }
}

variable "requests_queue_arn" {
  type        = string
  description = "Where requests come from."
}

variable "job_events_queue_arn" {
  type        = string
  description = "Where the function tells of requests that AWS Batch will never take."
}

variable "job_queue_arns" {
  type        = list(string)
  description = "Queues of AWS Batch that take jobs."
}

variable "job_definition_arn" {
  type        = string
  description = "ARN of the job definition, without a revision."
}

variable "log_retention_days" {
  type        = number
  description = "For how long logs are kept."
}
