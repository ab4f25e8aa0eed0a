# Whether the images are where machines and Fargate will pull them from: AWS takes any name, and jobs and tasks that do not
# start would be the first to say so.

locals {
  # Repository, digest and tag, of what is written as an image; the modules refuse what is not.
  parts = {
    for image in compact([var.analysis_image, var.backend_image, var.migrate_image]) :
    image => try(regex("^[^/]+/([^:@]+)(?:@(sha256:[0-9a-f]{64})|:([A-Za-z0-9._-]+))$", image), null)...
  }
  images = { for image, parts in local.parts : image => parts[0] if parts[0] != null }
}

data "aws_ecr_repositories" "all" {
  lifecycle {
    postcondition {
      condition     = length(setsubtract(values(local.images)[*][0], self.names)) == 0
      error_message = "The account's registry has no repository ${join(", ", setsubtract(values(local.images)[*][0], self.names))} in this region, where analysis_image, backend_image or migrate_image is to lie: terraform/account makes framebatch/analysis and framebatch/backend, and an image is pushed before it is named."
    }
  }
}

# The provider's own words where there is no such image are few, and end in this address with the image.
data "aws_ecr_image" "pushed" {
  for_each = { for image, parts in local.images : image => parts if contains(data.aws_ecr_repositories.all.names, parts[0]) }

  repository_name = each.value[0]
  image_digest    = each.value[1]
  image_tag       = each.value[2]
}
