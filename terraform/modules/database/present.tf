# The instance as it is, once it is there: RDS neither goes back in its version nor takes a limit below what the storage has
# grown to. (What has grown stays where storage_gib is less: the provider asks for nothing then.)

data "aws_db_instances" "all" {}

data "aws_db_instance" "present" {
  for_each = setintersection(data.aws_db_instances.all.instance_identifiers, [var.name])

  db_instance_identifier = each.key

  lifecycle {
    postcondition {
      condition     = tonumber(var.engine_version) >= tonumber(split(".", self.engine_version)[0])
      error_message = "engine_version must not be ${var.engine_version}: the database has PostgreSQL ${self.engine_version} already, and RDS takes no version back."
    }

    postcondition {
      condition     = var.max_storage_gib == self.max_allocated_storage || var.max_storage_gib >= ceil(self.allocated_storage * 1.1)
      error_message = "max_storage_gib must not be ${var.max_storage_gib}: the database's storage has ${self.allocated_storage} GiB already, and RDS takes a limit only from a tenth above that, ${ceil(self.allocated_storage * 1.1)}."
    }
  }
}
