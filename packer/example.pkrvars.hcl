# What a bake is told, for machines with an NVIDIA GPU. Copy it, and give ids and addresses of your own: see variables.pkr.hcl.
instance_type = "g6.xlarge"
source_ami    = "ami-00000000000000000"

python_url    = "https://example.org/cpython-3.11-x86_64-unknown-linux-gnu-install_only.tar.gz"
python_sha256 = "0000000000000000000000000000000000000000000000000000000000000000"

driver_floor    = "580.65"
runtime_lock    = "runtime-gpu.lock"
tensorrt_index  = ""
disk_budget_mib = 16384
clip            = "/tmp/clip"
