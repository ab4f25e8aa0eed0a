# Where AWS has the services behind the endpoints: not every zone has each. In a file of its own, since moto knows few of them.

data "aws_vpc_endpoint_service" "this" {
  for_each = toset(local.endpoint_services)

  service      = each.key
  service_type = "Interface"

  lifecycle {
    postcondition {
      condition     = length(setsubtract(var.availability_zones, self.availability_zones)) == 0
      error_message = "The availability_zones ${join(", ", setsubtract(var.availability_zones, self.availability_zones))} have no endpoint of ${each.key}, which interface_endpoints asks for: take zones out of ${join(", ", self.availability_zones)}."
    }
  }
}
