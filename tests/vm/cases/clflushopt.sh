# shellcheck shell=sh
# A processor without CLWB, and what the environment can forbid.
about="a processor without CLWB; PMEM_NO_CLFLUSHOPT and PMEM_NO_FLUSH=1 on it"

host() {
  cpu=max,-clwb
  nvdimm ext4 257M
  nvdimm device 129M
  boot main
}

setup() {
  fsdax ext4 && ext4 ext4
  devdax device
}

guest_main() {
  setup
  dax_suite "no CLWB" cacheline CLFLUSHOPT
  dax_suite "PMEM_NO_CLFLUSHOPT=1" cacheline CLFLUSH PMEM_NO_CLFLUSHOPT=1
  dax_suite "PMEM_NO_FLUSH=1" byte CLFLUSHOPT PMEM_NO_FLUSH=1
}
