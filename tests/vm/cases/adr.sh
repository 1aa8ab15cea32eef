# shellcheck shell=sh
# ADR: the persistence domain ends at the memory controller, so cache lines are to be written back.
about="ADR: ext4, XFS and device DAX; ext4 without DAX, tmpfs and virtio-pmem beside them"

host() {
  nvdimm ext4 257M
  nvdimm device 129M
  nvdimm xfs 385M
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
  ls /dev/pmem* /dev/dax*; mount
  for i in /sys/bus/nd/devices/region*; do (cd $i; for j in deep_flush persistence_domain size read_only; do echo $i $j $(cat $j); done); done
  expect "the persistence domain" memory_controller "$(cat "/sys/bus/nd/devices/region$(region ext4)/persistence_domain")"
  suite "all tests on ext4 with DAX" /mnt/ext4/tests
}
