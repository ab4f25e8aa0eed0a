output "vpc_id" {
  description = "Id of the VPC."
  value       = aws_vpc.this.id
}

output "public_subnet_ids" {
  description = "Subnets of the load balancer."
  value       = values(aws_subnet.public)[*].id

  # AWS makes no load balancer in a network that has no way to the internet yet: "VPC vpc-... has no internet gateway".
  depends_on = [aws_route.internet, aws_route_table_association.public]
}

output "load_balancer_cidrs" {
  description = "Addresses of the load balancer's subnets."
  value       = values(aws_subnet.public)[*].cidr_block
}

output "private_subnet_ids" {
  description = "Subnets of the database."
  value       = values(aws_subnet.private)[*].id
}

output "workload_subnet_ids" {
  description = "Subnets of the backend and of jobs."
  value       = values(local.is_private ? aws_subnet.private : aws_subnet.public)[*].id

  # What starts there pulls its image at once, and when all is destroyed, ends before the ways are gone.
  depends_on = [
    aws_route.internet, aws_route_table_association.public,
    aws_route.nat, aws_route_table_association.private,
    aws_vpc_endpoint.s3, aws_vpc_endpoint.interface,
  ]
}

output "public_addresses" {
  description = "Whether the backend and jobs have public addresses, being in public subnets."
  value       = !local.is_private
}

output "security_group_ids" {
  description = "Security groups by part: load_balancer, backend, jobs, database, and endpoints where there are any."
  value       = { for name, group in aws_security_group.this : name => group.id }
}
