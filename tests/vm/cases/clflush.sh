# shellcheck shell=sh
# A processor with neither CLWB nor CLFLUSHOPT: CLFLUSH is left.
about="a processor with neither CLWB nor CLFLUSHOPT; PMEM_MMAP_HINT and PMEM_IS_PMEM_FORCE=0 on it"

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
  dax_suite "neither CLWB nor CLFLUSHOPT" cacheline CLFLUSH
  dax_suite "PMEM_MMAP_HINT" cacheline CLFLUSH PMEM_MMAP_HINT=10000000000
  dax_places "PMEM_IS_PMEM_FORCE=0" page:/mnt/ext4 PMEM_IS_PMEM_FORCE=0 PMEM_TESTS_WRITE_BACK=CLFLUSH \
    PMEM_TESTS_REFUSED="$(character device)"
}
