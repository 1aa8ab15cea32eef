# shellcheck shell=sh
# eADR: the power supply lasts until the caches are written back, so nothing needs to be.
about="eADR: ext4 and device DAX; PMEM_NO_FLUSH=0 in spite of it"

host() {
  persistence=cpu
  seconds=900
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
  expect "the persistence domain" cpu_cache "$(domain ext4)"
  info "the machine" -- '"persistenceDomain": "cpu_cache"' '"hasAutoFlush": true'
  info "a DAX file system" /mnt/ext4 -- '"isPmem": true' '"granularity": "byte"' 'persist = SFENCE' 'Nothing can be finer'
  # What is pure, or has its counterpart in dax, is as right on any machine.
  suite "the tests" /mnt/ext4/tests PMEM_TESTS_PLACES="byte:/mnt/ext4,byte:$(character device)" PMEM_TESTS_WRITE_BACK=CLWB \
    PMEM_TESTS_ONLY=executor,mapping,libpmem_functions,persist_programs,dax,interop,power_cut
  dax_suite "PMEM_NO_FLUSH=0" cacheline CLWB PMEM_NO_FLUSH=0
}
