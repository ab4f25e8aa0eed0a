variable "name" {
  type        = string
  description = "Name of the dashboard and the budget, and the beginning of all other names."
}

variable "emails" {
  type        = list(string)
  description = "Who is told of alarms; each has to confirm once."

  validation {
    condition     = length(var.emails) > 0 && alltrue([for email in var.emails : can(regex("^[^@\\s]+@[^@\\s]+\\.[^@\\s]+$", email))])
    error_message = "The alarm_emails must be at least one address, such as operators@example.org: an alarm that nobody hears is none."
  }
}

variable "monthly_budget_usd" {
  type        = number
  description = "Dollars a month that the account may spend before somebody is told: at 80 % of it, and when 100 % are foreseen."

  validation {
    condition     = var.monthly_budget_usd > 0
    error_message = "The monthly_budget_usd must be more than 0."
  }
}

variable "failed_analyses_per_hour" {
  type        = number
  nullable    = false
  default     = 5
  description = "How many analyses may fail within an hour, by no fault of their videos, before somebody is told."

  validation {
    condition     = floor(var.failed_analyses_per_hour) == var.failed_analyses_per_hour && var.failed_analyses_per_hour >= 0
    error_message = "failed_analyses_per_hour must be a whole number, 0 or more."
  }
}

variable "database_connections" {
  type        = number
  nullable    = false
  default     = 80
  description = "How many connections the database may have before somebody is told: four fifths of what its class allows."

  validation {
    condition     = floor(var.database_connections) == var.database_connections && var.database_connections >= 1
    error_message = "database_connections must be a whole number, at least 1."
  }
}

variable "log_retention_days" {
  type        = number
  description = "For how long logs are kept."
}

variable "queue_names" {
  type        = object({ queues = map(string), dead_letters = map(string) })
  description = "Queues and their dead letters."
}

variable "undelivered_queue_name" {
  type        = string
  description = "Queue of events that could not be delivered."
}

variable "function_name" {
  type        = string
  description = "The Lambda that submits jobs."
}

variable "job_queue_arns" {
  type        = list(string)
  description = "Queues of AWS Batch whose jobs are ours."
}

variable "worker_log_group" {
  type        = string
  description = "What the worker says."
}

variable "jobs_log_group" {
  type        = string
  description = "What jobs say."
}

variable "load_balancer_suffix" {
  type        = string
  description = "The load balancer, as its metrics name it."
}

variable "database_identifier" {
  type        = string
  description = "The database, as its metrics name it."
}

variable "database_storage_gib" {
  type        = number
  description = "What the database has, a twentieth of which shall be free."
}
