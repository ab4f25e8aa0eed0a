# What RDS has here, which no list of ours could keep up with. In a file of its own, since moto knows no class of PostgreSQL.

data "aws_rds_engine_version" "newest" {
  engine                 = "postgres"
  parameter_group_family = "postgres${var.engine_version}"
  latest                 = true
}

data "aws_rds_orderable_db_instance" "this" {
  engine         = "postgres"
  engine_version = data.aws_rds_engine_version.newest.version_actual
  storage_type   = "gp3"
  vpc            = true

  # The first of them that there is: what is asked for, or what to take in its place.
  preferred_instance_classes = concat(
    [var.instance_class],
    [for family in ["t4g", "t3", "m7g", "m7i", "m6g", "m6i", "r7g", "r7i", "r6g", "r6i"] : "db.${family}.${split(".", var.instance_class)[2]}"],
    ["db.t4g.large", "db.t3.large", "db.m6g.large", "db.m6i.large"],
  )

  lifecycle {
    postcondition {
      condition     = self.instance_class == var.instance_class
      error_message = "The region has no ${var.instance_class} for PostgreSQL ${self.engine_version}: let instance_class be another, such as ${self.instance_class}."
    }

    postcondition {
      condition     = self.instance_class != var.instance_class || length(setintersection(self.availability_zones, var.availability_zones)) >= (var.multi_az ? 2 : 1)
      error_message = "A ${var.instance_class} is to be had in the zones ${join(", ", self.availability_zones)}, and the availability_zones ${join(", ", var.availability_zones)} have ${var.multi_az ? "not two" : "none"} of them: let instance_class be another, or take other zones."
    }
  }
}
