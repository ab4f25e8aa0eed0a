# As bake.yml, packer and packer.packer_py_wrapper call: a machine for an hour, an image of it, two parameters, and old images away.

data "aws_iam_policy_document" "bake" {
  # AWS knows no resource for any of them.
  statement {
    sid = "Look"
    actions = [
      "ec2:DescribeImages",
      "ec2:DescribeInstances",
      "ec2:DescribeInstanceStatus",
      "ec2:DescribeRegions",
      "ec2:DescribeSecurityGroups",
      "ec2:DescribeSnapshots",
      "ec2:DescribeSubnets",
      "ec2:DescribeTags",
      "ec2:DescribeVolumes",
      "ec2:DescribeVpcs",
    ]
    resources = ["*"]
  }

  # Packer gives both a name of its own that begins so; a key's is all that AWS lets one ask for.
  statement {
    sid       = "TemporaryKey"
    actions   = ["ec2:CreateKeyPair", "ec2:DeleteKeyPair"]
    resources = ["${local.ec2}:key-pair/packer_*"]
  }

  # A group has an id that nobody knows before, and carries no tag of ours.
  statement {
    sid       = "TemporaryGroup"
    actions   = ["ec2:CreateSecurityGroup", "ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup"]
    resources = ["${local.ec2}:security-group/*"]
  }

  statement {
    sid       = "TemporaryGroupInItsNetwork"
    actions   = ["ec2:CreateSecurityGroup"]
    resources = ["${local.ec2}:vpc/*"]
  }

  statement {
    sid     = "StartMachine"
    actions = ["ec2:RunInstances"]
    resources = [
      "arn:aws:ec2:${data.aws_region.current.name}::image/*", # the one to start from, which is AWS's own
      "${local.ec2}:key-pair/packer_*",
      "${local.ec2}:network-interface/*",
      "${local.ec2}:security-group/*",
      "${local.ec2}:subnet/*",
      "${local.ec2}:volume/*",
    ]
  }

  # Only what says of what content it is, by which the rest below knows it again.
  statement {
    sid       = "StartMachineThatIsOurs"
    actions   = ["ec2:RunInstances"]
    resources = ["${local.ec2}:instance/*"]

    condition {
      test     = "StringLike"
      variable = "aws:RequestTag/framebatch:content"
      values   = ["*"]
    }
  }

  statement {
    sid       = "TagWhatItMakes"
    actions   = ["ec2:CreateTags"]
    resources = [for kind in ["instance/*", "key-pair/packer_*", "network-interface/*", "security-group/*", "volume/*"] : "${local.ec2}:${kind}"]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["RunInstances", "CreateKeyPair", "CreateSecurityGroup"]
    }
  }

  # An image and its snapshot are there before they have a tag.
  statement {
    sid       = "TagImages"
    actions   = ["ec2:CreateTags"]
    resources = ["arn:aws:ec2:${data.aws_region.current.name}::image/*", "arn:aws:ec2:${data.aws_region.current.name}::snapshot/*"]

    condition {
      test     = "StringLike"
      variable = "aws:RequestTag/framebatch:content"
      values   = ["*"]
    }
  }

  statement {
    sid       = "MakeImageOfMachine"
    actions   = ["ec2:CreateImage", "ec2:StopInstances", "ec2:TerminateInstances"]
    resources = ["${local.ec2}:instance/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/framebatch:content"
      values   = ["*"]
    }
  }

  # For metadata with a token alone, before the image has a tag.
  statement {
    sid       = "MakeImage"
    actions   = ["ec2:CreateImage", "ec2:ModifyImageAttribute"]
    resources = ["arn:aws:ec2:${data.aws_region.current.name}::image/*"]
  }

  statement {
    sid       = "MakeSnapshot"
    actions   = ["ec2:CreateImage"]
    resources = ["arn:aws:ec2:${data.aws_region.current.name}::snapshot/*"]
  }

  statement {
    sid       = "RemoveOldImages"
    actions   = ["ec2:DeregisterImage"]
    resources = ["arn:aws:ec2:${data.aws_region.current.name}::image/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/framebatch:content"
      values   = ["*"]
    }
  }

  statement {
    sid       = "RemoveOldSnapshots"
    actions   = ["ec2:DeleteSnapshot"]
    resources = ["arn:aws:ec2:${data.aws_region.current.name}::snapshot/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/framebatch:content"
      values   = ["*"]
    }
  }

  statement {
    sid       = "ReadPublishedImages"
    actions   = ["ssm:GetParametersByPath"]
    resources = ["arn:aws:ssm:${local.place}:parameter/framebatch/runtime"]
  }

  statement {
    sid       = "PublishImage"
    actions   = ["ssm:PutParameter"]
    resources = ["arn:aws:ssm:${local.place}:parameter/framebatch/runtime/*"]
  }

  dynamic "statement" {
    for_each = var.bake_clip_arn == null ? [] : [var.bake_clip_arn]

    content {
      sid       = "FetchClip"
      actions   = ["s3:GetObject"]
      resources = [statement.value]
    }
  }

  dynamic "statement" {
    for_each = var.bake_machine_role_arn == null ? [] : [var.bake_machine_role_arn]

    content {
      sid       = "GiveMachineItsRole"
      actions   = ["iam:PassRole"]
      resources = [statement.value]

      condition {
        test     = "StringEquals"
        variable = "iam:PassedToService"
        values   = ["ec2.amazonaws.com"]
      }
    }
  }
}

resource "aws_iam_role_policy" "bake" {
  name   = "bake"
  role   = aws_iam_role.this["bake"].id
  policy = data.aws_iam_policy_document.bake.json
}
