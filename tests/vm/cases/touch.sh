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
  small
  mkdir -p /mnt/tmpfs && mount -t tmpfs -o size=1100m tmpfs /mnt/tmpfs
}

# A partition that begins one small page behind a huge one: so does every block of its files, and no huge page maps them.
small() {
  fsdax small
  {
    head -c 446 /dev/zero
    printf '\000\000\000\000\203\000\000\000\010\000\000\000\240\045\046\000' # Linux, from sector 8 on, 2 500 000 sectors
    head -c 48 /dev/zero
    printf '\125\252'
  } >/tmp/partitions
  dd if=/tmp/partitions of="$(block small)" 2>/dev/null
  blockdev --rereadpt "$(block small)"
  wait_for "test -b $(block small)p1"
  /usr/bin/mke2fs -q -F -t ext4 -b 4096 -E nodiscard "$(block small)p1"
  mkdir -p /mnt/small && mount -t ext4 -o dax "$(block small)p1" /mnt/small
}

guest_main() {
  setup
  check "the first touch" dotnet /extra/Pmem.Benchmarks.dll --touch /mnt/huge /mnt/small /mnt/tmpfs
}
