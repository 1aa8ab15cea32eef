# shellcheck shell=sh
# What the first touch of 1 GiB costs on DAX, with huge pages and with small ones; a measurement, which checks nothing. It wants the
# benchmarks, published to the folder PMEM_VM_EXTRA.
about="a measurement: the first touch of 1 GiB on DAX, with huge and with small pages, and on tmpfs"

host() {
  memory=3G
  seconds=900
  nvdimm huge 1281M
  nvdimm small 1281M
  boot main
  grep -a '│' "$folder/main.console"
}

setup() {
  fsdax huge && ext4 huge
  fsdax small 4096 && ext4 small
  mkdir -p /mnt/tmpfs && mount -t tmpfs -o size=1100m tmpfs /mnt/tmpfs
}

guest_main() {
  setup
  check "the first touch" dotnet /extra/Pmem.Benchmarks.dll --touch /mnt/huge /mnt/small /mnt/tmpfs
}
