variable "name" {
  type        = string
  nullable    = false
  default     = "framebatch"
  description = "Name of the environment whose jobs are released, and the beginning of the roles' names."

  validation {
    condition     = can(regex("^[a-z][a-z0-9-]{0,18}[a-z0-9]$", var.name))
    error_message = "The released_environment must be the name of an environment, as modules/system takes it: 2 to 20 small letters, digits and hyphens."
  }
}

variable "repository" {
  type        = string
  description = "Repository on GitHub as its tokens name it: owner@id/name@id, or owner/name where it was made before July 15, 2026 and never renamed."

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+(@[0-9]+/[A-Za-z0-9._-]+@[0-9]+|/[A-Za-z0-9._-]+)$", var.repository))
    error_message = "The repository must be as GitHub's tokens name it, owner@id/name@id such as example@1234/framebatch@5678, or owner/name without either id; a * would let others in. docs/terraform.md says how to ask GitHub for it."
  }
}

variable "provider_arn" {
  type        = string
  default     = null
  description = "GitHub's identity provider in this account, where there is one already: `aws iam list-open-id-connect-providers` tells. Null makes it."

  validation {
    condition     = var.provider_arn == null ? true : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:oidc-provider/token\\.actions\\.githubusercontent\\.com$", var.provider_arn))
    error_message = "The provider_arn must be the ARN of GitHub's identity provider, which ends in oidc-provider/token.actions.githubusercontent.com, or null."
  }

  validation {
    condition     = try(split(":", var.provider_arn)[4] == data.aws_caller_identity.current.account_id, true)
    error_message = "The provider_arn must be of this account, ${data.aws_caller_identity.current.account_id}: a role trusts no other's identity provider."
  }
}

variable "release_environment" {
  type        = string
  nullable    = false
  default     = "production"
  description = "GitHub's environment that may release, as release.yml names it."

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+$", var.release_environment))
    error_message = "The release_environment must be letters, digits, hyphens and underscores, as release.yml names it."
  }
}

variable "bake_environment" {
  type        = string
  nullable    = false
  default     = "machine-image"
  description = "GitHub's environment that may bake, as bake.yml names it."

  validation {
    condition     = can(regex("^[A-Za-z0-9_-]+$", var.bake_environment)) && var.bake_environment != var.release_environment
    error_message = "The bake_environment must be letters, digits, hyphens and underscores, as bake.yml names it, and another than release_environment: reviewers of one let nobody into the other."
  }
}

variable "analysis_repository_arn" {
  type        = string
  description = "Where the job's image is pushed."
}

variable "bake_clip_arn" {
  type        = string
  default     = null
  description = "The video in S3 (BAKE_CLIP) that every model is tried on, as arn:aws:s3:::bucket/key."

  validation {
    condition     = var.bake_clip_arn == null ? true : can(regex("^arn:aws[a-z-]*:s3:::[a-z0-9.-]+/[^*?]+$", var.bake_clip_arn))
    error_message = "The bake_clip_arn must name one object of S3, such as arn:aws:s3:::clips/street.mp4, or be null."
  }
}

variable "bake_machine_role_arn" {
  type        = string
  default     = null
  description = "Role of the machine that is baked on, where iam_instance_profile of the bake names one, to read models in S3."

  validation {
    condition     = var.bake_machine_role_arn == null ? true : can(regex("^arn:aws[a-z-]*:iam::[0-9]{12}:role/[^*?]+$", var.bake_machine_role_arn))
    error_message = "The bake_machine_role_arn must be the ARN of one role, or null."
  }

  validation {
    condition     = try(split(":", var.bake_machine_role_arn)[4] == data.aws_caller_identity.current.account_id, true)
    error_message = "The bake_machine_role_arn must be of this account, ${data.aws_caller_identity.current.account_id}: a machine gets no other's role."
  }
}
