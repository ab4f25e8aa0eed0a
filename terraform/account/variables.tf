variable "region" {
  type        = string
  description = "Region of the images and states, such as eu-central-1."

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region must be one of AWS, such as eu-central-1."
  }

  validation {
    condition     = !can(regex("^(cn-|us-gov-)|-iso", var.region))
    error_message = "The region must not be one of China, GovCloud or the isolated ones (cn-, us-gov-, us-iso-): their ARNs begin otherwise than those that are written here."
  }
}

variable "missing_service_roles" {
  type        = set(string)
  nullable    = false
  default     = ["batch", "spot"]
  description = "Services whose own role the account does not have yet: `aws iam get-role --role-name AWSServiceRoleForBatch`, and AWSServiceRoleForEC2Spot, tell. An empty list where both are there."

  validation {
    condition     = length(setsubtract(var.missing_service_roles, ["batch", "spot"])) == 0
    error_message = "The missing_service_roles can be batch and spot."
  }

  validation {
    condition     = length(setintersection(var.missing_service_roles, local.roles_there_before)) == 0
    error_message = "The missing_service_roles must not name ${join(" and ", local.roles_there_before)}: the account has that role already, and AWS makes it no second time."
  }
}

variable "github" {
  type = object({
    repository            = string
    released_environment  = optional(string)
    provider_arn          = optional(string)
    bake_clip_arn         = optional(string)
    bake_machine_role_arn = optional(string)
  })
  default     = null
  description = "The repository on GitHub, as owner@id/name@id, whose workflows release and bake: arguments of modules/github; released_environment is the name of the environment whose jobs are released, framebatch unless another is given. Null gives nobody there any right."
}

variable "keep_images" {
  type        = number
  default     = 300
  description = "How many images of each kind are kept, the newest. Each release pushes one, and what an environment still names must be among them; the layers that they share are kept once."
}

variable "force_delete" {
  type        = bool
  default     = false
  description = "Whether `terraform destroy` removes images and states."
}
