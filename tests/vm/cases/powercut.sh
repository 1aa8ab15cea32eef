# shellcheck shell=sh
# The guest is switched off in the middle of its work, again and again. Emulated caches lose nothing, so this proves that
# the mapping is the memory, and recovery; what has to be flushed is proved by CrashCheck on the same two structures.
about="power cuts: nothing that was promised is lost"

host() {
  nvdimm log 129M
  nvdimm pair 33M
  seconds=60
  boot prepare
  cut_repeatedly "${PMEM_VM_CUTS:-20}" "${PMEM_VM_SEED:-20260}"
  catch_a_lie
}

guest_prepare() {
  fsdax log && ext4 log
  devdax pair
  umount /mnt/log
}

setup() { mount_at ext4 log dax; }

guest_work() {
  setup
  say "the work begins"
  # shellcheck disable=SC2068
  dotnet /powercut/PowerCut.dll /mnt/log/log "$(character pair)" /dev/ttyS1 $@
}

guest_lie() { guest_work --lie; }
