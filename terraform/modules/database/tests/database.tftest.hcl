mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name               = "framebatch"
  subnet_ids         = ["subnet-1", "subnet-2"]
  security_group_id  = "sg-1"
  log_retention_days = 14
}

run "safe_unless_asked_otherwise" {
  command = plan

  assert {
    condition     = aws_db_instance.this.storage_encrypted && !aws_db_instance.this.publicly_accessible && aws_db_instance.this.deletion_protection
    error_message = "The database is encrypted, private, and not destroyed by mistake."
  }

  assert {
    condition     = anytrue([for parameter in aws_db_parameter_group.this.parameter : parameter.name == "rds.force_ssl" && parameter.value == "1"])
    error_message = "Connections without TLS are refused."
  }

  assert {
    condition     = aws_db_instance.this.password == null && !aws_db_instance.this.skip_final_snapshot
    error_message = "The password is in no state, and a destroyed database leaves a snapshot."
  }
}

run "refuses_a_minor_version" {
  command = plan

  variables {
    engine_version = "17.2"
  }

  expect_failures = [var.engine_version]
}

run "refuses_a_class_of_ec2" {
  command = plan

  variables {
    instance_class = "t4g.micro" # a class of RDS has db. before it
  }

  expect_failures = [var.instance_class]
}

run "refuses_a_size_that_its_family_has_not" {
  command = plan

  variables {
    instance_class = "db.m7g.micro"
  }

  expect_failures = [var.instance_class]
}

run "refuses_too_little_storage" {
  command = plan

  variables {
    storage_gib = 10
  }

  expect_failures = [var.storage_gib]
}

run "refuses_no_room_to_grow" {
  command = plan

  variables {
    max_storage_gib = 20
  }

  expect_failures = [var.max_storage_gib]
}

run "refuses_too_many_days_of_backups" {
  command = plan

  variables {
    backup_days = 36
  }

  expect_failures = [var.backup_days]
}

run "refuses_a_password_version_of_nothing" {
  command = plan

  variables {
    password_version = 0
  }

  expect_failures = [var.password_version]
}
