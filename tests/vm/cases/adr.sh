# shellcheck shell=sh
# ADR: the persistence domain ends at the memory controller, so cache lines are to be written back.
about="ADR: ext4, XFS and device DAX; ext4 without DAX, tmpfs and virtio-pmem beside them"

host() {
  seconds=1200
  nvdimm ext4 257M
  nvdimm device 129M
  nvdimm xfs 513M
  nvdimm plain 129M
  virtio_pmem virtio 128M
  boot main
}

setup() {
  fsdax ext4 && ext4 ext4
  devdax device
  fsdax xfs && xfs xfs
  fsdax plain && ext4 plain defaults
  ext4 virtio
  mkdir -p /mnt/tmpfs && mount -t tmpfs tmpfs /mnt/tmpfs
}

guest_main() {
  setup
  expect "the persistence domain" memory_controller "$(domain ext4)"
  info "the machine" -- '"writeBack": "CLWB"' '"persistenceDomain": "memory_controller"' '"mode": "dax"' '"mode": "memory"' \
    "\"path\": \"$(character device)\"" '"point": "/mnt/xfs"' '"hasAutoFlush": false'
  info "a DAX file system" /mnt/ext4 -- '"kind": "DAX file"' '"isPmem": true' '"granularity": "cache line"' 'persist = CLWB + SFENCE'
  info "a DAX device" "$(character device)" -- '"kind": "DAX device"' '"isPmem": true' '"granularity": "cache line"'
  info "a file system without DAX" /mnt/plain -- '"isPmem": false' '"granularity": "page"' "mount -o dax $(block plain) /mnt/plain"
  dax=cacheline:/mnt/ext4,cacheline:/mnt/xfs,cacheline:$(character device)
  others=page:/mnt/plain,page:/mnt/tmpfs,page:/mnt/virtio
  # What is pure, or has its counterpart in dax, is as right on any machine.
  suite "the tests" /mnt/ext4/tests PMEM_TESTS_PLACES="$dax,$others" PMEM_TESTS_WRITE_BACK=CLWB \
    PMEM_TESTS_ONLY=write-back_stubs,executor,mapping,faults,libpmem_functions,range_tracking,samples,persist_programs,crash_check,dax,interop,power_cut
  # Last, because they stay bad.
  mount -t debugfs debugfs /sys/kernel/debug
  suite "bad blocks" /tmp/tests PMEM_TESTS_BAD_BLOCKS="/mnt/ext4,$(character device)" PMEM_TESTS_WRITE_BACK=CLWB PMEM_TESTS_ONLY=dax
}
