variable "name" {
  type        = string
  description = "Begins the name of everything here."
}

variable "cidr" {
  type        = string
  nullable    = false
  default     = "10.40.0.0/16"
  description = "Addresses of the VPC: a /16 to /20 of private addresses."

  validation {
    condition     = can(cidrnetmask(var.cidr)) && can(regex("^(10|172\\.(1[6-9]|2[0-9]|3[01])|192\\.168)\\.", var.cidr))
    error_message = "The network's cidr must be a block of private IPv4 addresses, such as 10.40.0.0/16."
  }

  validation {
    condition     = try(tonumber(split("/", var.cidr)[1]) >= 16 && tonumber(split("/", var.cidr)[1]) <= 20, false)
    error_message = "The network's cidr must be between /16, the most that a VPC has, and /20, so that each subnet has room for 250 machines."
  }

  validation {
    condition     = can(cidrsubnet(var.cidr, 0, 0)) ? cidrsubnet(var.cidr, 0, 0) == var.cidr : true
    error_message = "The network's cidr must begin with the first address of its block: ${try(cidrsubnet(var.cidr, 0, 0), var.cidr)}."
  }

  validation {
    condition     = !startswith(var.cidr, "172.17.")
    error_message = "The network's cidr must not lie in 172.17.0.0/16: Docker has these addresses on every machine of the jobs, which would not find the database."
  }
}

variable "availability_zones" {
  type        = list(string)
  description = "Zones to use, two to six: a load balancer and a database ask for two, and a Spot machine is found more often in three. Take zones that offer the instance types of the jobs."

  validation {
    condition     = length(var.availability_zones) >= 2 && length(var.availability_zones) <= 6
    error_message = "Name two to six availability_zones: the load balancer and the database need two."
  }

  validation {
    condition     = length(distinct(var.availability_zones)) == length(var.availability_zones)
    error_message = "The availability_zones must differ from each other."
  }

  validation {
    condition     = alltrue([for zone in var.availability_zones : can(regex("^[a-z]{2}(-[a-z]+)+-[0-9][a-z]$", zone))])
    error_message = "Each of the availability_zones must be a zone's name, such as eu-central-1a."
  }

  validation {
    condition     = length(setsubtract(var.availability_zones, data.aws_availability_zones.open.names)) == 0
    error_message = "The availability_zones ${join(", ", setsubtract(var.availability_zones, data.aws_availability_zones.open.names))} are none that this account has in the region; it has ${join(", ", data.aws_availability_zones.open.names)}."
  }
}

variable "nat_gateways" {
  type        = number
  nullable    = false
  default     = 0
  description = "How many NAT gateways, up to one for each zone. Each costs by the hour and by the gigabyte; with interface_endpoints they carry webhooks of users, and mail, alone."

  validation {
    condition     = floor(var.nat_gateways) == var.nat_gateways && var.nat_gateways >= 0 && var.nat_gateways <= length(var.availability_zones)
    error_message = "nat_gateways must be a whole number from 0 to the number of availability_zones."
  }

  validation {
    condition     = var.nat_gateways > 0 || !var.interface_endpoints
    error_message = "nat_gateways must be at least 1 with interface_endpoints: webhooks of users, which the API takes, and mail would have no way out."
  }
}

variable "interface_endpoints" {
  type        = bool
  nullable    = false
  default     = false
  description = "Whether the backend and jobs reach AWS's services inside the network, and jobs nothing else. Nine endpoints, each of which costs by the hour in each zone."
}

variable "allowed_cidrs" {
  type        = list(string)
  nullable    = false
  default     = ["0.0.0.0/0"]
  description = "Who may reach the load balancer; the offices of a team, for a product of its own."

  validation {
    condition     = length(var.allowed_cidrs) > 0 && alltrue([for cidr in var.allowed_cidrs : can(cidrnetmask(cidr))])
    error_message = "The allowed_cidrs must be at least one block of IPv4 addresses, such as 203.0.113.0/24."
  }

  validation {
    condition     = alltrue([for cidr in var.allowed_cidrs : try(cidrsubnet(cidr, 0, 0), cidr) == cidr])
    error_message = "The allowed_cidrs must each begin with the first address of their block: ${join(", ", distinct([for cidr in var.allowed_cidrs : try(cidrsubnet(cidr, 0, 0), cidr)]))}."
  }

  validation {
    condition     = length(distinct(var.allowed_cidrs)) == length(var.allowed_cidrs)
    error_message = "The allowed_cidrs must differ from each other."
  }

  validation {
    condition     = length(var.allowed_cidrs) <= 30
    error_message = "The allowed_cidrs must be 30 at most: each takes two of the 60 incoming rules that a security group may have, one for HTTPS and one for port 80, which redirects."
  }
}

variable "backend_port" {
  type        = number
  description = "Where the API listens."
}

variable "webhook_ports" {
  type        = list(number)
  nullable    = false
  default     = [443]
  description = "Ports on which the backend reaches webhooks of users; 443 is open anyway, for AWS itself."

  validation {
    condition     = contains(var.webhook_ports, 443) && alltrue([for port in var.webhook_ports : floor(port) == port && port >= 1 && port <= 65535 && port != 25])
    error_message = "The webhook_ports must be whole numbers from 1 to 65535, 443 among them, and not 25, at which machines of AWS reach nobody."
  }

  validation {
    condition     = length(distinct(var.webhook_ports)) <= 50
    error_message = "The webhook_ports must be 50 at most, and are ${length(distinct(var.webhook_ports))}: each takes one of the 60 outgoing rules that a security group may have."
  }
}

variable "mail_port" {
  type        = number
  default     = null
  description = "Port of the mail server, as MAIL_URL has it: 465 for smtps://, 587 for smtp:// unless it says otherwise. Null lets no mail out."

  validation {
    condition     = var.mail_port == null ? true : floor(var.mail_port) == var.mail_port && var.mail_port >= 1 && var.mail_port <= 65535 && var.mail_port != 25
    error_message = "The mail_port must be null or a whole number from 1 to 65535 such as 465 or 587, and not 25, at which machines of AWS reach nobody."
  }
}
