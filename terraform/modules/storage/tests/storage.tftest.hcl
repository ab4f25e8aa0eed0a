mock_provider "aws" {
  source = "../../mocks"
}

variables {
  name            = "framebatch"
  allowed_origins = ["https://video.example.org"]
}

run "a_private_bucket" {
  command = plan

  assert {
    condition     = aws_s3_bucket.media.bucket == "framebatch-media-123456789012" && !aws_s3_bucket.media.force_destroy
    error_message = "The bucket is the account's own, and is not destroyed with what is in it."
  }

  assert {
    condition     = aws_s3_bucket_public_access_block.media.block_public_policy && aws_s3_bucket_public_access_block.media.restrict_public_buckets && aws_s3_bucket_public_access_block.media.block_public_acls && aws_s3_bucket_public_access_block.media.ignore_public_acls
    error_message = "Nothing in the bucket is public."
  }

  assert {
    condition     = one(one(aws_s3_bucket_cors_configuration.media.cors_rule).allowed_origins) == "https://video.example.org" && contains(one(aws_s3_bucket_cors_configuration.media.cors_rule).expose_headers, "ETag")
    error_message = "Only our pages send parts, and read the tags that end an upload."
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.media.rule[0].abort_incomplete_multipart_upload[0].days_after_initiation == 7
    error_message = "Parts that nobody finished are removed."
  }
}

run "what_a_bucket_without_versions_leaves_behind_ends" {
  command = plan

  assert {
    condition     = aws_s3_bucket_versioning.media.versioning_configuration[0].status == "Suspended" && aws_s3_bucket_lifecycle_configuration.media.rule[1].noncurrent_version_expiration[0].noncurrent_days == 30 && aws_s3_bucket_lifecycle_configuration.media.rule[1].expiration[0].expired_object_delete_marker
    error_message = "Markers of what was deleted go, and so do versions of the time when they were kept."
  }
}

run "old_versions_end" {
  command = plan

  variables {
    versioned = true
  }

  assert {
    condition     = aws_s3_bucket_lifecycle_configuration.media.rule[1].noncurrent_version_expiration[0].noncurrent_days == 30
    error_message = "What was deleted is kept for a while and not for ever."
  }
}

run "refuses_an_origin_without_https" {
  command = plan

  variables {
    allowed_origins = ["http://video.example.org"]
  }

  expect_failures = [var.allowed_origins]
}

run "refuses_no_days_for_old_versions" {
  command = plan

  variables {
    old_version_days = 0
  }

  expect_failures = [var.old_version_days]
}

run "refuses_no_days_for_uploads" {
  command = plan

  variables {
    incomplete_upload_days = 0
  }

  expect_failures = [var.incomplete_upload_days]
}
