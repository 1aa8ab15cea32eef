# shellcheck shell=bash
# The image that all guests share, read-only: the .NET runtime, the published tests, and what makes and checks file
# systems. It is found by what is in it.

# Sets `image`.
build_image() {
  local published=$work/published key runtime
  if [ "${PMEM_VM_REUSE:-0}" = 1 ]; then
    for image in "$cache"/image-*/root.img; do [ -f "$image" ] && return; done
  fi
  say "publish: the tests"
  publish "$top/tests/Pmem.Tests" "$published/tests"
  publish "$here/PowerCut" "$published/powercut"
  [ -z "${PMEM_VM_EXTRA:-}" ] || cp -r "$PMEM_VM_EXTRA" "$published/extra"
  runtime=$(runtime_folder)
  key=$({ echo "$runtime"; image_tools; find "$published" -type f -exec sha256sum {} +; cat "$here/lib/image.sh"; } |
    sha256sum | cut -c 1-16)
  image=$cache/image-$key/root.img
  [ -f "$image" ] && { rm -rf "$published"; return; }
  say "image: $key"
  rm -rf "$cache"/image-*
  fill_cache "$cache/image-$key" make_image "$published" "$runtime"
  rm -rf "$published"
}

publish() {
  "$dotnet" publish "$1" -c Release -o "$2" --nologo -v quiet -p:DebugType=none >"$work/publish.log" 2>&1 ||
    { cat "$work/publish.log" >&2; exit 1; }
}

# The newest Microsoft.NETCore.App.
runtime_folder() {
  dotnet --list-runtimes | awk '$1 == "Microsoft.NETCore.App" { gsub(/[][]/, "", $3); print $3 "/" $2 }' | tail -n 1
}

image_tools() {
  local command
  for command in busybox ndctl daxctl mke2fs mkfs.xfs fio strace; do type -P "$command"; done
}

# Called by fill_cache, in the folder to fill.
make_image() {
  local published=$1 runtime=$2 tool
  mkdir -p root/{bin,sbin,usr/bin,usr/lib,etc,proc,sys,dev,vm,tmp,run,mnt}
  mkdir -p "root/usr/share/dotnet/shared/Microsoft.NETCore.App"
  cp -r "$runtime" root/usr/share/dotnet/shared/Microsoft.NETCore.App/
  cp -r "$(dirname "$(dirname "$(dirname "$runtime")")")/host" root/usr/share/dotnet/
  cp -L "$(readlink -f "$(type -P dotnet)")" root/usr/share/dotnet/dotnet
  copy_libraries "$runtime"/*.so root/usr/share/dotnet/dotnet
  cp -r "$published"/* root/
  for tool in $(image_tools); do
    cp -L "$tool" root/usr/bin/
    [ "${tool##*/}" = busybox ] || copy_libraries "$tool"
  done
  copy_libraries "$(library libpmem.so.1)"
  cp -L "$(library libpmem.so.1)" "root/usr/lib/"
  [ ! -d /etc/ndctl ] || cp -r /etc/ndctl root/etc/
  [ ! -f /etc/mke2fs.conf ] || cp /etc/mke2fs.conf root/etc/
  echo 'root:x:0:0:root:/:/bin/sh' >root/etc/passwd
  chroot_links
  truncate --size "$(($(du -s --block-size=1M root | cut -f 1) * 5 / 4 + 16))M" root.img
  mke2fs -q -t ext4 -O ^has_journal -E no_copy_xattrs -d root root.img
  rm -rf root
}

# busybox under each of its names, so that scripts need not name it.
chroot_links() {
  local name
  for name in $(busybox --list); do
    [ -e "root/usr/bin/$name" ] || ln -s /usr/bin/busybox "root/usr/bin/$name"
  done
  rmdir root/bin root/sbin
  ln -s usr/bin root/bin
  ln -s usr/bin root/sbin
  ln -s ../share/dotnet/dotnet root/usr/bin/dotnet
}

# Puts what the named files are linked with where the loader looks for it, under its own path too for the loader itself.
copy_libraries() {
  local path
  ldd "$@" 2>/dev/null | sed -n 's/.* => \(\/[^ ]*\) (.*/\1/p' | sort -u | while read -r path; do
    [ -e "root/usr/lib/${path##*/}" ] || cp -L "$path" root/usr/lib/
  done
  mkdir -p root/lib64
  [ -e root/lib64/ld-linux-x86-64.so.2 ] || cp -L /lib64/ld-linux-x86-64.so.2 root/lib64/
}
