# How large a machine is follows from its type's name: in all families here `large` has 2 vCPUs, `xlarge` 4, and `8xlarge` 8
# times 4, with so many GiB of memory for each as the family says (https://docs.aws.amazon.com/ec2/latest/instancetypes/).

locals {
  memory_gib_per_vcpu = merge(
    { g4dn = 4, g5 = 4, g6 = 4, g6e = 8, gr6 = 8, p3 = 7.625, p3dn = 8, p4d = 12, p4de = 12, p5 = 10.67, p5e = 10.67, p5en = 10.67 },
    { c5 = 2, c5a = 2, c5n = 2.625, c6a = 2, c6i = 2, c6in = 2, c7a = 2, c7i = 2 },
    { m5 = 4, m5a = 4, m5n = 4, m6a = 4, m6i = 4, m6in = 4, m7a = 4, m7i = 4 },
    { r5 = 8, r5a = 8, r5n = 8, r6a = 8, r6i = 8, r6in = 8, r7a = 8, r7i = 8 },
  )

  # Not every family has every size. Of a whole family AWS Batch takes a size that fits.
  machines = merge([
    for family, gib in local.memory_gib_per_vcpu : merge(
      { "${family}.large" = { vcpus = 2, memory_mib = 2 * gib * 1024 } },
      { for times in [1, 2, 4, 8, 9, 12, 16, 18, 24, 32, 48] : "${family}.${times == 1 ? "" : times}xlarge" => { vcpus = 4 * times, memory_mib = 4 * times * gib * 1024 } },
    )
  ]...)

  known_types = concat(keys(local.machines), keys(local.memory_gib_per_vcpu))
}
