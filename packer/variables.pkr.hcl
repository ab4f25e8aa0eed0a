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

variable "runtime_lock" {
  type        = string
  default     = "runtime.lock"
  description = "Which lock of this folder the machine gets."
}

variable "tensorrt_index" {
  type        = string
  default     = ""
  description = "Address of NVIDIA's own package index, where TensorRT's libraries lie; empty for an image without TensorRT."
}

variable "clip" {
  type        = string
  description = "A video in which every model finds something, of the shape it was trained for; a path on the machine that calls packer."
}

variable "disk_budget_mib" {
  type        = number
  default     = 16384
  description = "Most that /opt/runtime and /opt/models may take: each gigabyte is stored monthly and read at every start."
}

variable "scratch_mib" {
  type        = number
  default     = 8192
  description = "Least that must stay free for the videos of jobs."
}

variable "instance_type" {
  type        = string
  description = "Of the family that the image is for and is published under: its GPU builds the engines, its driver is asked."
}

variable "subnet_id" {
  type    = string
  default = null
}

variable "iam_instance_profile" {
  type        = string
  default     = null
  description = "With the right to read models whose source is in S3; null where there are none."
}

variable "volume_gib" {
  type    = number
  default = 30
}

variable "ssh_from" {
  type        = list(string)
  description = "Networks from which the machine may be reached while it is baked; as PKR_VAR_ssh_from, since the image does not depend on it."
}

# Given by packer_py_wrapper.

variable "region" {
  type        = string
  description = "That in which the wrapper's commands look for images."
}

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
