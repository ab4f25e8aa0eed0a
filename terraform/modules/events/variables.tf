variable "name" {
  type        = string
  description = "Begins the rule's name."
}

variable "job_queue_arns" {
  type        = list(string)
  description = "Queues of AWS Batch whose jobs are ours."
}

variable "job_events_queue_url" {
  type        = string
  description = "Queue that the worker reads."
}

variable "job_events_queue_arn" {
  type        = string
  description = "ARN of the same queue."
}
