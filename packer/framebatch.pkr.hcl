# The machine image that analysis jobs run on. Baked by `python -m packer.packer_py_wrapper build`.

locals {
  # Not below /tmp, which is memory on Amazon Linux 2023 and half of it at most: less than TensorRT's libraries take.
  checkout = "/var/tmp/framebatch"

  tags = {
    "Name"                   = "framebatch-${var.content}"
    "framebatch:content"     = var.content
    "framebatch:runtime-abi" = var.runtime_abi
    "framebatch:family"      = split(".", var.instance_type)[0] # under which it is published
  }
}

source "amazon-ebs" "framebatch" {
  ami_name             = "framebatch-${var.content}"
  source_ami           = var.source_ami
  instance_type        = var.instance_type
  region               = var.region
  subnet_id            = var.subnet_id
  iam_instance_profile = var.iam_instance_profile
  ssh_username         = "ec2-user"

  # Packer would look the profile up first, by a right that a bake needs for nothing else; EC2 says as well that there is none.
  skip_profile_validation = true

  temporary_security_group_source_cidrs = var.ssh_from

  # Where nobody is left to stop the machine, it ends by itself, and with it what it costs.
  shutdown_behavior = "terminate"
  user_data         = "#!/bin/sh\nshutdown --poweroff +180\n"

  # Only with a token, on the machine that bakes and on every machine of the image.
  metadata_options {
    http_endpoint               = "enabled"
    http_tokens                 = "required"
    http_put_response_hop_limit = 1
  }
  imds_support = "v2.0"

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = var.volume_gib
    iops                  = 3000
    throughput            = 250
    encrypted             = true
    delete_on_termination = true
  }

  tags          = local.tags
  snapshot_tags = local.tags
  run_tags      = local.tags
}

build {
  sources = ["source.amazon-ebs.framebatch"]

  provisioner "shell" {
    inline = ["mkdir -p ${local.checkout}/packer ${local.checkout}/models ${local.checkout}/tmp"]
  }

  # What the image is made of, which the content's digest covers.
  provisioner "file" {
    sources = [
      "${path.root}/__init__.py",
      "${path.root}/${var.runtime_lock}",
      "${path.root}/tensorrt.lock",
      "${path.root}/runtime",
    ]
    destination = "${local.checkout}/packer/"
  }
  provisioner "file" {
    source      = "${path.root}/../models/"
    destination = "${local.checkout}/models"
  }

  # What only tries it: the analyser itself, and a clip.
  provisioner "file" {
    sources     = ["${path.root}/../contract", "${path.root}/../exports", "${path.root}/../batch_job"]
    destination = "${local.checkout}/"
  }
  provisioner "file" {
    source      = var.clip
    destination = "${local.checkout}/clip"
  }

  provisioner "shell" {
    execute_command = "chmod +x {{ .Path }}; sudo env {{ .Vars }} {{ .Path }}"
    environment_vars = [
      "CHECKOUT=${local.checkout}",
      "HOME=${local.checkout}", # where libraries leave notes; it goes with the checkout
      "TMPDIR=${local.checkout}/tmp",
      "DRIVER_FLOOR=${var.driver_floor}",
      "PYTHON_URL=${var.python_url}",
      "PYTHON_SHA256=${var.python_sha256}",
      "RUNTIME_LOCK=${var.runtime_lock}",
      "TENSORRT_INDEX=${var.tensorrt_index}",
      "DISK_BUDGET_MIB=${var.disk_budget_mib}",
      "SCRATCH_MIB=${var.scratch_mib}",
    ]
    scripts = [
      "${path.root}/provisioners/base.sh",
      "${path.root}/provisioners/check_driver.sh",
      "${path.root}/provisioners/install_runtime.sh",
      "${path.root}/provisioners/place_models.sh",
      "${path.root}/provisioners/build_engines.sh",
      "${path.root}/provisioners/validate.sh",
      "${path.root}/provisioners/clean_up.sh",
      "${path.root}/provisioners/check_traces.sh",
      "${path.root}/provisioners/write_manifest.sh",
    ]
  }

  provisioner "file" {
    direction   = "download"
    source      = "/opt/runtime/manifest.json"
    destination = var.manifest
  }
}
