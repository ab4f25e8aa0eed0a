mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name               = "framebatch"
  availability_zones = ["eu-central-1a", "eu-central-1b"]
  backend_port       = 8000
}

run "without_a_way_out_of_its_own" {
  command = plan

  assert {
    condition     = length(aws_nat_gateway.this) == 0 && length(aws_vpc_endpoint.interface) == 0
    error_message = "Nothing that costs by the hour is there unless it is asked for."
  }

  assert {
    condition     = alltrue([for subnet in aws_subnet.public : subnet.map_public_ip_on_launch])
    error_message = "Machines of AWS Batch get public addresses, or they reach nothing."
  }

  assert {
    condition     = alltrue([for rule in concat(values(aws_vpc_security_group_ingress_rule.this), values(aws_vpc_security_group_ingress_rule.browsers)) : !strcontains(rule.description, "to jobs")])
    error_message = "Nothing comes in to jobs."
  }

  assert {
    condition     = toset(keys(aws_vpc_security_group_egress_rule.internet)) == toset(["backend", "jobs"])
    error_message = "Without endpoints, jobs reach AWS by its public addresses."
  }

  assert {
    condition     = output.public_addresses
    error_message = "The backend's tasks need public addresses."
  }
}

run "with_endpoints_and_a_gateway" {
  command = plan

  variables {
    nat_gateways        = 1
    interface_endpoints = true
  }

  assert {
    condition     = length(aws_nat_gateway.this) == 1 && length(aws_route.nat) == 2
    error_message = "The zones share one gateway."
  }

  assert {
    condition     = length(aws_vpc_endpoint.interface) == 9
    error_message = "Jobs and the backend call nine services besides S3."
  }

  assert {
    condition     = toset(keys(aws_vpc_security_group_egress_rule.internet)) == toset(["backend"])
    error_message = "Jobs reach AWS and the database, and nothing else."
  }

  assert {
    condition     = !output.public_addresses && alltrue([for subnet in aws_subnet.public : !subnet.map_public_ip_on_launch])
    error_message = "Nothing but the load balancer has a public address."
  }
}

run "out_to_mail_and_webhooks_that_are_asked_for" {
  command = plan

  variables {
    webhook_ports = [443, 8443]
    mail_port     = 465
  }

  assert {
    condition     = { for key, rule in aws_vpc_security_group_egress_rule.internet : key => rule.to_port } == { backend = 443, backend-webhooks-8443 = 8443, backend-mail = 465, jobs = 443 }
    error_message = "The backend reaches what is asked for, and jobs AWS alone."
  }
}

run "refuses_the_port_that_aws_closes" {
  command = plan

  variables {
    mail_port = 25
  }

  expect_failures = [var.mail_port]
}

run "refuses_webhooks_without_https_port" {
  command = plan

  variables {
    webhook_ports = [8443]
  }

  expect_failures = [var.webhook_ports]
}

run "refuses_addresses_that_are_not_private" {
  command = plan

  variables {
    cidr = "8.8.0.0/16"
  }

  expect_failures = [var.cidr]
}

run "refuses_a_network_without_room" {
  command = plan

  variables {
    cidr = "10.40.0.0/24"
  }

  expect_failures = [var.cidr]
}

run "refuses_one_zone" {
  command = plan

  variables {
    availability_zones = ["eu-central-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "refuses_a_zone_twice" {
  command = plan

  variables {
    availability_zones = ["eu-central-1a", "eu-central-1a"]
  }

  expect_failures = [var.availability_zones]
}

run "refuses_what_is_no_zone" {
  command = plan

  variables {
    availability_zones = ["eu-central-1", "eu-central-1b"]
  }

  expect_failures = [var.availability_zones]
}

run "refuses_more_gateways_than_zones" {
  command = plan

  variables {
    nat_gateways = 3
  }

  expect_failures = [var.nat_gateways]
}

run "refuses_webhooks_without_a_way_out" {
  command = plan

  variables {
    interface_endpoints = true
  }

  expect_failures = [var.nat_gateways]
}

run "mail_by_a_port_that_is_open_anyway" {
  command = plan

  variables {
    webhook_ports = [443, 465]
    mail_port     = 465
  }

  assert {
    condition     = toset(keys(aws_vpc_security_group_egress_rule.internet)) == toset(["backend", "backend-webhooks-465", "jobs"])
    error_message = "AWS refuses the same rule twice."
  }
}

run "refuses_nobody" {
  command = plan

  variables {
    allowed_cidrs = []
  }

  expect_failures = [var.allowed_cidrs]
}

run "refuses_an_address_within_the_network" {
  command = plan

  variables {
    cidr = "10.40.1.0/16"
  }

  expect_failures = [var.cidr]
}

run "refuses_dockers_addresses" {
  command = plan

  variables {
    cidr = "172.17.0.0/16"
  }

  expect_failures = [var.cidr]
}

run "refuses_a_zone_that_is_not_there" {
  command = plan

  variables {
    availability_zones = ["eu-central-1a", "eu-central-1f"]
  }

  expect_failures = [var.availability_zones]
}

run "refuses_browsers_within_a_block" {
  command = plan

  variables {
    allowed_cidrs = ["203.0.113.7/24"]
  }

  expect_failures = [var.allowed_cidrs]
}

run "refuses_the_same_browsers_twice" {
  command = plan

  variables {
    allowed_cidrs = ["203.0.113.0/24", "203.0.113.0/24"]
  }

  expect_failures = [var.allowed_cidrs]
}

run "refuses_more_browsers_than_rules" {
  command = plan

  variables {
    allowed_cidrs = [for number in range(31) : "203.0.${number}.0/24"]
  }

  expect_failures = [var.allowed_cidrs]
}

run "refuses_a_zone_that_has_not_every_endpoint" {
  command = plan

  variables {
    nat_gateways        = 1
    interface_endpoints = true
  }

  override_data {
    target = data.aws_vpc_endpoint_service.this["batch"]
    values = { availability_zones = ["eu-central-1a", "eu-central-1c"] }
  }

  expect_failures = [data.aws_vpc_endpoint_service.this["batch"]]
}

run "asks_for_endpoints_only_where_there_shall_be_any" {
  command = plan

  assert {
    condition     = length(data.aws_vpc_endpoint_service.this) == 0
    error_message = "A zone without endpoints serves where nobody asks for them."
  }
}

run "refuses_more_ports_than_a_group_has_rules" {
  command = plan

  variables {
    webhook_ports = concat([443], range(8000, 8050))
  }

  expect_failures = [var.webhook_ports]
}

run "takes_as_many_ports_as_a_group_has_rules_for" {
  command = plan

  variables {
    webhook_ports = concat([443], range(8000, 8049))
    mail_port     = 465
  }

  assert {
    condition     = length([for key, rule in aws_vpc_security_group_egress_rule.internet : key if startswith(key, "backend")]) == 51
    error_message = "Each port takes a rule, and mail one more: with those to the database and the endpoints they are no more than 60."
  }
}
