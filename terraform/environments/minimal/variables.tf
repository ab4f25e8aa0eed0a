variable "region" {
  type        = string
  description = "Region of everything, such as eu-central-1; images and machine image must be there."

  validation {
    condition     = can(regex("^[a-z]{2}(-[a-z]+)+-[0-9]$", var.region))
    error_message = "The region must be one of AWS, such as eu-central-1."
  }

  validation {
    condition     = !can(regex("^(cn-|us-gov-)|-iso", var.region))
    error_message = "The region must not be one of China, GovCloud or the isolated ones (cn-, us-gov-, us-iso-): their ARNs begin otherwise than those that are written here."
  }
}

variable "availability_zones" {
  type        = list(string)
  description = "Zones to use, at least two, that offer the instance types of the jobs."

  validation {
    condition     = alltrue([for zone in var.availability_zones : startswith(zone, var.region)])
    error_message = "The availability_zones must be zones of the region."
  }
}

variable "domain_name" {
  type        = string
  description = "Where users find the product, such as video.example.org."
}

variable "hosted_zone_id" {
  type        = string
  default     = null
  description = "Route 53 zone of the domain: certificate and address are made in it. Null where the domain is kept elsewhere."
}

variable "certificate_arn" {
  type        = string
  default     = null
  description = "Certificate of the domain in ACM, where there is no hosted_zone_id; the domain must then point at the load balancer."
}

variable "analysis_image" {
  type        = string
  description = "Image of the job's container in ECR, by its digest or an immutable tag."
}

variable "backend_image" {
  type        = string
  description = "Image of the backend in ECR, by its digest or an immutable tag."
}

variable "migrate_image" {
  type        = string
  default     = null
  description = "Image of the task that migrates, where it shall be the next one: its tables are made before its code serves. Null for backend_image."
}

variable "lambda_package" {
  type        = string
  description = "Path of the Lambda's zip file, as `make lambda-zip` makes it."
}

variable "database_ca_bundle" {
  type        = string
  description = "Path of the region's certificates of RDS, as https://truststore.pki.rds.amazonaws.com/REGION/REGION-bundle.pem gives them, against which the database's is verified."
}

variable "mail" {
  type        = object({ url_secret_arn = string, port = optional(number, 465) })
  default     = null
  description = "Secret that holds MAIL_URL, made and filled by an operator, and the mail server's port, which the network then lets through. Null sends no mail."
}

variable "alarm_emails" {
  type        = list(string)
  description = "Who is told of alarms; each has to confirm once."
}

variable "monthly_budget_usd" {
  type        = number
  description = "Dollars a month that the account may spend before somebody is told."
}
