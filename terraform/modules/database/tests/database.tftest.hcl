mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name               = "framebatch"
  availability_zones = ["eu-central-1a", "eu-central-1b"]
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

run "refuses_a_class_that_the_region_has_not" {
  command = plan

  variables {
    instance_class = "db.r7i.large"
  }

  expect_failures = [data.aws_rds_orderable_db_instance.this]
}

run "refuses_a_class_that_none_of_the_zones_has" {
  command = plan

  variables {
    availability_zones = ["eu-central-1c", "eu-central-1d"]
  }

  expect_failures = [data.aws_rds_orderable_db_instance.this]
}

run "refuses_a_standby_where_one_zone_alone_has_the_class" {
  command = plan

  variables {
    availability_zones = ["eu-central-1b", "eu-central-1c"]
    multi_az           = true
  }

  expect_failures = [data.aws_rds_orderable_db_instance.this]
}

run "takes_a_class_that_one_of_the_zones_has" {
  command = plan

  variables {
    availability_zones = ["eu-central-1b", "eu-central-1c"]
  }
}

run "refuses_to_go_back_to_an_older_postgresql" {
  command = plan

  variables {
    engine_version = "16"
  }

  override_data {
    target = data.aws_db_instances.all
    values = { instance_identifiers = ["another", "framebatch"] }
  }

  override_data {
    target = data.aws_db_instance.present["framebatch"]
    values = { engine_version = "17.4", allocated_storage = 20, max_allocated_storage = 100 }
  }

  expect_failures = [data.aws_db_instance.present["framebatch"]]
}

run "refuses_a_limit_below_what_the_storage_has_grown_to" {
  command = plan

  variables {
    max_storage_gib = 164
  }

  override_data {
    target = data.aws_db_instances.all
    values = { instance_identifiers = ["framebatch"] }
  }

  override_data {
    target = data.aws_db_instance.present["framebatch"]
    values = { engine_version = "17.4", allocated_storage = 150, max_allocated_storage = 200 }
  }

  expect_failures = [data.aws_db_instance.present["framebatch"]]
}

run "leaves_storage_that_has_reached_its_limit_in_peace" {
  command = plan

  override_data {
    target = data.aws_db_instances.all
    values = { instance_identifiers = ["framebatch"] }
  }

  override_data {
    target = data.aws_db_instance.present["framebatch"]
    values = { engine_version = "16.9", allocated_storage = 100, max_allocated_storage = 100 }
  }

  assert {
    condition     = aws_db_instance.this.max_allocated_storage == 100
    error_message = "What is as it was is asked of RDS by nobody."
  }
}
