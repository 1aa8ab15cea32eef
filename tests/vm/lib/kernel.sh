# shellcheck shell=bash
# Debian's kernel, taken out of its package: nothing is installed.

# In the order in which they load.
modules="crc16 crc32c_generic crc32c-intel libcrc32c mbcache jbd2 ext4 xfs libnvdimm nfit nd_btt nd_pmem dax_pmem
device_dax virtio_ring virtio virtio_pci_legacy_dev virtio_pci_modern_dev virtio_pci virtio_blk nd_virtio virtio_pmem mce-inject"

# Sets `kernel` to a folder with vmlinux and modules/.
build_kernel() {
  local package
  package=$(apt-cache depends linux-image-amd64 2>/dev/null | sed -n 's/^  Depends: //p' | head -n 1)
  if [ -z "$package" ]; then
    echo "tests/vm/run: the package linux-image-amd64 is not known here; run apt-get update" >&2
    exit 2
  fi
  local version
  version=$(apt-cache show "$package" | sed -n 's/^Version: //p' | head -n 1)
  kernel=$cache/kernel-$package-$version-$(echo "$modules" | cksum | cut -d ' ' -f 1)
  [ -f "$kernel/vmlinux" ] && return
  say "kernel: $package $version"
  fill_cache "$kernel" extract_kernel "$package=$version"
}

# Called by fill_cache, in the folder to fill.
extract_kernel() {
  local name path
  # apt warns when its own user cannot write here, and downloads all the same.
  apt-get -qq download "$1" 2>apt.log || { cat apt.log >&2; return 1; }
  dpkg-deb --extract ./*.deb package
  unpack_kernel package/boot/vmlinuz-* >vmlinux
  mkdir modules
  for name in $modules; do
    path=$(find package/lib/modules -name "$name.ko" | head -n 1)
    [ -n "$path" ] || { echo "tests/vm/run: the kernel package has no module $name" >&2; return 1; }
    cp "$path" modules/
  done
  rm -rf package ./*.deb apt.log
}

# The kernel itself out of the file that a boot loader loads. QEMU starts it as it is, and a guest that has not to unpack
# it boots in half the time.
unpack_kernel() {
  local start
  start=$(LC_ALL=C grep --text --byte-offset --only-matching --perl-regexp '\xfd7zXZ\x00' "$1" | head -n 1 | cut -d : -f 1)
  # xz complains of what follows the kernel in that file.
  tail --bytes "+$((start + 1))" "$1" | xz --decompress --stdout 2>/dev/null || [ "$(head --bytes 4 vmlinux)" = $'\x7fELF' ]
}
