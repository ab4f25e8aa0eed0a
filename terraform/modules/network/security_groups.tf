# Who may talk to whom, in one place. Nothing comes in to jobs.

locals {
  groups = merge(
    {
      load_balancer = "HTTP and HTTPS from browsers to the backend"
      backend       = "The API and the worker"
      jobs          = "Machines that analyse videos; nothing comes in"
      database      = "PostgreSQL"
    },
    var.interface_endpoints ? { endpoints = "AWS services inside the network" } : {},
  )

  # From, to, port, in words.
  talks = merge(
    {
      load_balancer_to_backend = ["load_balancer", "backend", var.backend_port]
      backend_to_database      = ["backend", "database", 5432]
      jobs_to_database         = ["jobs", "database", 5432]
    },
    var.interface_endpoints ? {
      backend_to_endpoints = ["backend", "endpoints", 443]
      jobs_to_endpoints    = ["jobs", "endpoints", 443]
    } : {},
  )

  # Webhooks of users, mail, and AWS itself. Jobs decode strangers' files: with endpoints they reach AWS's services and
  # nothing else.
  to_internet = merge(
    { for port in toset(concat([443], var.webhook_ports)) : port == 443 ? "backend" : "backend-webhooks-${port}" => ["backend", port] },
    var.mail_port == null || contains(var.webhook_ports, coalesce(var.mail_port, 443)) ? {} : { backend-mail = ["backend", var.mail_port] },
    var.interface_endpoints ? {} : { jobs = ["jobs", 443] },
  )
}

resource "aws_security_group" "this" {
  for_each = local.groups

  name        = "${var.name}-${replace(each.key, "_", "-")}"
  description = each.value
  vpc_id      = aws_vpc.this.id
  tags        = { Name = "${var.name}-${replace(each.key, "_", "-")}" }
}

resource "aws_vpc_security_group_ingress_rule" "browsers" {
  for_each = { for pair in setproduct(var.allowed_cidrs, [80, 443]) : "${pair[0]}-${pair[1]}" => pair }

  security_group_id = aws_security_group.this["load_balancer"].id
  description       = "Browsers and clients of the API; port 80 only redirects"
  cidr_ipv4         = each.value[0]
  ip_protocol       = "tcp"
  from_port         = each.value[1]
  to_port           = each.value[1]
}

resource "aws_vpc_security_group_ingress_rule" "this" {
  for_each = local.talks

  security_group_id            = aws_security_group.this[each.value[1]].id
  description                  = replace(each.key, "_", " ")
  referenced_security_group_id = aws_security_group.this[each.value[0]].id
  ip_protocol                  = "tcp"
  from_port                    = each.value[2]
  to_port                      = each.value[2]
}

resource "aws_vpc_security_group_egress_rule" "this" {
  for_each = local.talks

  security_group_id            = aws_security_group.this[each.value[0]].id
  description                  = replace(each.key, "_", " ")
  referenced_security_group_id = aws_security_group.this[each.value[1]].id
  ip_protocol                  = "tcp"
  from_port                    = each.value[2]
  to_port                      = each.value[2]
}

resource "aws_vpc_security_group_egress_rule" "internet" {
  for_each = local.to_internet

  security_group_id = aws_security_group.this[each.value[0]].id
  description       = each.key == "backend-mail" ? "Mail by SMTP" : "AWS services over HTTPS, and for the backend webhooks of users"
  cidr_ipv4         = "0.0.0.0/0"
  ip_protocol       = "tcp"
  from_port         = each.value[1]
  to_port           = each.value[1]
}

resource "aws_vpc_security_group_egress_rule" "jobs_to_s3" {
  count = var.interface_endpoints ? 1 : 0

  security_group_id = aws_security_group.this["jobs"].id
  description       = "Videos, pictures and image layers"
  prefix_list_id    = aws_vpc_endpoint.s3.prefix_list_id
  ip_protocol       = "tcp"
  from_port         = 443
  to_port           = 443
}
