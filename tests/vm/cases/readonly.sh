# shellcheck shell=sh
# An NVDIMM that may only be read: unarmed (it cannot promise to keep a store), or read-only for the machine too.
about="NVDIMMs that are unarmed or read-only"

host() {
  nvdimm unarmed 129M
  nvdimm readonly 129M
  boot prepare
  machine_defaults
  nvdimm unarmed 129M unarmed
  nvdimm readonly 129M readonly
  boot main
}

# The namespaces and files that the second boot finds.
guest_prepare() {
  for name in unarmed readonly; do
    fsdax $name && ext4 $name
    dd if=/dev/urandom of=/mnt/$name/file bs=1M count=4 2>/dev/null
    umount /mnt/$name
  done
}

setup() {
  for name in unarmed readonly; do mount_at ext4 $name ro,dax; done
}

guest_main() {
  setup
  for name in unarmed readonly; do
    expect "$name: the region is read-only" 1 "$(cat "/sys/bus/nd/devices/region$(region $name)/read_only")"
    refused "$name: a mount for writing" mount -t ext4 -o remount,rw "/mnt/$name"
  done
  suite "read-only files" /tmp/tests PMEM_TESTS_READ_ONLY=/mnt/unarmed/file,/mnt/readonly/file \
    PMEM_TESTS_WRITE_BACK=CLWB -- --filter pmem.dax
}
