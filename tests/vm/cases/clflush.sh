# shellcheck shell=sh
# A processor with neither CLWB nor CLFLUSHOPT: CLFLUSH is left.
about="a processor with neither CLWB nor CLFLUSHOPT"

host() {
  cpu=max,-clwb,-clflushopt
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
  dax_suite "CLFLUSH" cacheline CLFLUSH
}
