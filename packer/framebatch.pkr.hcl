# The machine image that analysis jobs run on. Baked by `python -m packer.packer_py_wrapper build`.

locals {
  tags = {
    "Name"                   = "framebatch-${var.content}"
    "framebatch:content"     = var.content
    "framebatch:runtime-abi" = var.runtime_abi
  }
}

source "amazon-ebs" "framebatch" {
  ami_name      = "framebatch-${var.content}"
  source_ami    = var.source_ami
  instance_type = var.instance_type
  region        = var.region
  subnet_id     = var.subnet_id
  ssh_username  = "ec2-user"

  launch_block_device_mappings {
    device_name           = "/dev/xvda"
    volume_type           = "gp3"
    volume_size           = var.volume_gib
    iops                  = 3000
    throughput            = 250
    delete_on_termination = true
  }

  tags          = local.tags
  snapshot_tags = local.tags
  run_tags      = local.tags
}

build {
  sources = ["source.amazon-ebs.framebatch"]

  provisioner "shell" {
    inline = ["mkdir -p /tmp/framebatch/contract /tmp/framebatch/packer /tmp/framebatch/models"]
  }

  # Only what the steps below read, and what the content's digest covers.
  provisioner "file" {
    sources = [
      "${path.root}/../contract/__init__.py",
      "${path.root}/../contract/manifest.py",
      "${path.root}/../contract/model_lock.py",
    ]
    destination = "/tmp/framebatch/contract/"
  }
  provisioner "file" {
    sources     = ["${path.root}/__init__.py", "${path.root}/runtime.lock", "${path.root}/runtime"]
    destination = "/tmp/framebatch/packer/"
  }
  provisioner "file" {
    source      = "${path.root}/../models/"
    destination = "/tmp/framebatch/models"
  }

  provisioner "shell" {
    execute_command = "chmod +x {{ .Path }}; sudo env {{ .Vars }} {{ .Path }}"
    environment_vars = [
      "CHECKOUT=/tmp/framebatch",
      "DRIVER_FLOOR=${var.driver_floor}",
      "PYTHON_URL=${var.python_url}",
      "PYTHON_SHA256=${var.python_sha256}",
    ]
    scripts = [
      "${path.root}/provisioners/make_folders.sh",
      "${path.root}/provisioners/check_driver.sh",
      "${path.root}/provisioners/install_runtime.sh",
      "${path.root}/provisioners/place_models.sh",
      "${path.root}/provisioners/clean_up.sh",
      "${path.root}/provisioners/validate.sh",
    ]
  }

  provisioner "file" {
    direction   = "download"
    source      = "/opt/runtime/manifest.json"
    destination = var.manifest
  }
}
