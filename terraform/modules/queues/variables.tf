variable "name" {
  type        = string
  description = "Begins the queues' names."
}

variable "submitter_timeout_seconds" {
  type        = number
  description = "How long the Lambda may take for a batch of requests."

  validation {
    condition     = floor(var.submitter_timeout_seconds) == var.submitter_timeout_seconds && var.submitter_timeout_seconds >= 10 && var.submitter_timeout_seconds <= 900
    error_message = "submitter_timeout_seconds must be a whole number from 10 to 900, the most that Lambda allows."
  }
}

variable "job_events_visibility_seconds" {
  type        = number
  nullable    = false
  default     = 30
  description = "How long the worker may take for a batch of job events."

  validation {
    condition     = floor(var.job_events_visibility_seconds) == var.job_events_visibility_seconds && var.job_events_visibility_seconds >= 10 && var.job_events_visibility_seconds <= 43200
    error_message = "job_events_visibility_seconds must be a whole number from 10 to 43200."
  }
}

variable "max_receives" {
  type        = number
  nullable    = false
  default     = 5
  description = "How often a message is delivered before it becomes a dead letter; times the visibility, how long AWS Batch may be away before requests fail."

  validation {
    condition     = floor(var.max_receives) == var.max_receives && var.max_receives >= 2 && var.max_receives <= 1000
    error_message = "max_receives must be a whole number from 2 to 1000: after one receive, a passing fault would already end a request."
  }
}
