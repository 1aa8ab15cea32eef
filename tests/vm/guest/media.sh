# shellcheck shell=sh
# Namespaces and file systems in the guest, by the names that the case gave its NVDIMMs.

# region NAME: the number of its region. The kernel numbers them in an order of its own; their addresses go up in the
# order in which the case named them.
region() {
  row=$(echo "$media" | tr , '\n' | grep -nx "$1" | cut -d : -f 1)
  for path in /sys/bus/nd/devices/region*; do
    echo "$(cat "$path/resource") ${path##*/region}"
  done | sort | sed -n "${row}s/.* //p"
}

# domain NAME: where its region says that a store is safe.
domain() { cat "/sys/bus/nd/devices/region$(region "$1")/persistence_domain"; }

# block NAME, character NAME: its device.
block() { echo "/dev/pmem$(region "$1")"; }
character() { echo "/dev/dax$(region "$1").0"; }

# fsdax NAME: a namespace for a file system.
fsdax() { namespace "$1" fsdax; wait_for "test -b $(block "$1")"; }

# devdax NAME [ALIGNMENT]: a namespace that a program maps itself.
devdax() { namespace "$1" devdax ${2:+--align="$2"}; wait_for "test -c $(character "$1")"; }

namespace() {
  space=namespace$(region "$1").0 mode=$2
  shift 2
  ndctl create-namespace -f -e "$space" -m "$mode" --map=mem "$@" >/tmp/ndctl.log 2>&1 || cat /tmp/ndctl.log
}

wait_for() {
  tries=100
  until $1; do
    tries=$((tries - 1))
    [ $tries -gt 0 ] || { failed "waited in vain: $1"; return 1; }
    sleep 0.05
  done
}

# ext4 NAME [MOUNT OPTIONS]: a new file system on its block device, at /mnt/NAME. DAX needs blocks of a page, and huge
# pages need runs of blocks that begin at 2 MiB (stride). By its path, because busybox has a mke2fs of its own.
ext4() {
  /usr/bin/mke2fs -q -F -t ext4 -b 4096 -E stride=512,stripe_width=512,nodiscard "$(block "$1")"
  mount_at ext4 "$1" "${2:-dax}"
}

# xfs NAME: the same with XFS. In this kernel reflink and DAX exclude each other.
xfs() {
  mkfs.xfs -q -f -m reflink=0 -d agcount=2,su=2m,sw=1 -l size=64m "$(block "$1")"
  mount_at xfs "$1" dax
}

# mount_at TYPE NAME OPTIONS
mount_at() {
  mkdir -p "/mnt/$2"
  mount -t "$1" -o "$3" "$(block "$2")" "/mnt/$2" && return
  dmesg | tail -n 5
  failed "mount of $(block "$2") as $1 with $3"
}
