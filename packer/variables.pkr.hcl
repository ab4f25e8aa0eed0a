# Pins: nothing is looked up as "latest" while an image is baked, so equal variables give an equal image.

variable "source_ami" {
  type        = string
  description = "Id of the ECS-optimised Amazon Linux 2023 image to start from, for the region; with NVIDIA's driver for GPU machines."
}

variable "python_url" {
  type        = string
  description = "Archive of a relocatable Python 3.11 for x86_64 Linux (python-build-standalone, install_only)."
}

variable "python_sha256" {
  type = string
}

variable "driver_floor" {
  type        = string
  default     = ""
  description = "Lowest NVIDIA driver version, such as 570.00; empty for machines without a GPU."
}

variable "instance_type" {
  type        = string
  description = "Of the family that the image is for: the driver is asked while it is baked."
}

variable "region" {
  type = string
}

variable "subnet_id" {
  type    = string
  default = null
}

variable "volume_gib" {
  type    = number
  default = 30
}

# Given by packer_py_wrapper.

variable "content" {
  type        = string
  description = "Digest of everything the image is made of."
}

variable "runtime_abi" {
  type = string
}

variable "manifest" {
  type        = string
  description = "Where to put the image's manifest on the machine that bakes."
}
