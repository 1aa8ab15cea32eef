# shellcheck shell=bash
# The initrd: busybox, the kernel modules and the scripts of guest/ and cases/, which change often and so are not in the
# image.

# Sets `initrd`. It is small, and made anew each time.
build_initrd() {
  local root=$work/initrd name
  mkdir -p "$root"/{bin,modules,proc,sys,dev,image,vm}
  cp "$(type -P busybox)" "$root/bin/busybox"
  cp "$kernel"/modules/*.ko "$root/modules/"
  for name in $modules; do echo "$name"; done >"$root/modules/order"
  cp -r "$here/guest" "$here/cases" "$root/vm/"
  cp "$here/guest/init" "$root/init"
  initrd=$work/initrd.img
  (cd "$root" && find . -print0 | cpio --null --create --format=newc --quiet) >"$initrd"
  rm -rf "$root"
}
