# shellcheck shell=bash
# What the machine must have. Nothing is installed here: what is missing is named, with the packages that bring it.

needs() {
  local missing=() packages=() line command package
  while read -r command package; do
    [ -n "$(type -P "$command")" ] || { missing+=("$command"); packages+=("$package"); }
  done <<'LIST'
qemu-system-x86_64 qemu-system-x86
ndctl ndctl
mke2fs e2fsprogs
mkfs.xfs xfsprogs
fio fio
strace strace
cpio cpio
xz xz-utils
dpkg-deb dpkg
apt-get apt
timeout coreutils
ldd libc-bin
LIST
  is_static_busybox || { missing+=("a static busybox"); packages+=(busybox-static); }
  [ -n "$(library libpmem.so.1)" ] || { missing+=(libpmem.so.1); packages+=(libpmem1); }
  type -P dotnet >/dev/null || missing+=("the .NET SDK (dotnet)")
  [ ${#missing[@]} -eq 0 ] && return
  line=$(printf ', %s' "${missing[@]}")
  echo "tests/vm/run: missing: ${line:2}" >&2
  [ ${#packages[@]} -eq 0 ] || echo "apt-get install --no-install-recommends ${packages[*]}" >&2
  exit 2
}

is_static_busybox() {
  local path
  path=$(type -P busybox) && ! ldd "$path" >/dev/null 2>&1
}

# The path of a shared library, by its name.
library() {
  PATH=$PATH:/sbin:/usr/sbin ldconfig -p | awk -v name="$1" '$1 == name && /x86-64/ { print $NF; exit }'
}
