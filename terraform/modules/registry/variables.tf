variable "name" {
  type        = string
  description = "Begins the repositories' names."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{1,30}$", var.name))
    error_message = "The registry's name must be 2 to 31 lower-case letters, digits and hyphens, and begin with a letter."
  }
}

variable "keep_images" {
  type        = number
  nullable    = false
  default     = 300
  description = "How many images of each kind are kept, the newest. Each release pushes one, and what an environment still names must be among them; the layers that they share are kept once."

  validation {
    condition     = floor(var.keep_images) == var.keep_images && var.keep_images >= 2
    error_message = "keep_images must be a whole number, at least 2, or nothing is left to roll back to."
  }
}

variable "force_delete" {
  type        = bool
  nullable    = false
  default     = false
  description = "Whether `terraform destroy` removes the repositories with the images in them."
}
