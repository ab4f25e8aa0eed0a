# As bake.yml, packer and packer.packer_py_wrapper call: a machine for an hour, an image of it, two parameters, and old images away.

data "aws_iam_policy_document" "bake" {
  # AWS knows no resource for any of them.
  statement {
    sid = "Look"
    actions = [
      "ec2:DescribeImages",
      "ec2:DescribeInstances",
      "ec2:DescribeInstanceStatus",
      "ec2:DescribeLaunchTemplateVersions",
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

  # A group has an id that nobody knows before; the plugin of packer gives it the run's tags as it makes it.
  statement {
    sid       = "TemporaryGroup"
    actions   = ["ec2:CreateSecurityGroup"]
    resources = ["${local.ec2}:security-group/*"]

    condition {
      test     = "StringLike"
      variable = "aws:RequestTag/framebatch:content"
      values   = ["*"]
    }
  }

  # Any other group is left as it is: all ids, and of them those with the tag.
  statement {
    sid       = "OpenAndRemoveTemporaryGroup"
    actions   = ["ec2:AuthorizeSecurityGroupIngress", "ec2:DeleteSecurityGroup"]
    resources = ["${local.ec2}:security-group/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/framebatch:content"
      values   = ["*"]
    }
  }

  # Whichever network the bake's subnet is in, or the account's first.
  statement {
    sid       = "TemporaryGroupInItsNetwork"
    actions   = ["ec2:CreateSecurityGroup"]
    resources = ["${local.ec2}:vpc/*"]
  }

  # What is made with the machine has no id before, and the subnet is the bake's choice.
  statement {
    sid     = "StartMachine"
    actions = ["ec2:RunInstances"]
    resources = [
      "arn:aws:ec2:${data.aws_region.current.name}::image/*", # the one to start from, which is AWS's own
      "${local.ec2}:key-pair/packer_*",
      "${local.ec2}:network-interface/*",
      "${local.ec2}:subnet/*",
      "${local.ec2}:volume/*",
    ]
  }

  statement {
    sid       = "StartMachineInTemporaryGroup"
    actions   = ["ec2:RunInstances"]
    resources = ["${local.ec2}:security-group/*"] # of all ids, those with the tag

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/framebatch:content"
      values   = ["*"]
    }
  }

  # Only what says of what content it is, by which the rest below knows it again. No id is known before.
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

  # Ids are not known before; only what one of these calls makes, and while it makes it.
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

  # An image and its snapshots, whose ids nobody knows before, get the tag as they are made...
  statement {
    sid       = "TagImagesAsTheyAreMade"
    actions   = ["ec2:CreateTags"]
    resources = ["arn:aws:ec2:${data.aws_region.current.name}::image/*", "arn:aws:ec2:${data.aws_region.current.name}::snapshot/*"]

    condition {
      test     = "StringEquals"
      variable = "ec2:CreateAction"
      values   = ["CreateImage"]
    }

    condition {
      test     = "StringLike"
      variable = "aws:RequestTag/framebatch:content"
      values   = ["*"]
    }
  }

  # ... and by it packer knows its own again, of all ids, to tag them once more: it gives no other image the tag.
  statement {
    sid       = "TagImages"
    actions   = ["ec2:CreateTags"]
    resources = ["arn:aws:ec2:${data.aws_region.current.name}::image/*", "arn:aws:ec2:${data.aws_region.current.name}::snapshot/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/framebatch:content"
      values   = ["*"]
    }
  }

  # Of all machines, those with the tag, which it started.
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

  # The new ones, whose ids nobody knows before: this call changes none that is there.
  statement {
    sid       = "MakeImage"
    actions   = ["ec2:CreateImage"]
    resources = ["arn:aws:ec2:${data.aws_region.current.name}::image/*", "arn:aws:ec2:${data.aws_region.current.name}::snapshot/*"]
  }

  # Of all images, those with the tag: metadata with a token alone for a new one, and an end for an old one.
  statement {
    sid       = "ChangeAndRemoveImages"
    actions   = ["ec2:DeregisterImage", "ec2:ModifyImageAttribute"]
    resources = ["arn:aws:ec2:${data.aws_region.current.name}::image/*"]

    condition {
      test     = "StringLike"
      variable = "aws:ResourceTag/framebatch:content"
      values   = ["*"]
    }
  }

  # Of all snapshots, those with the tag.
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

  # Two for each ABI of the runtime and family of machines, and no other parameter.
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
