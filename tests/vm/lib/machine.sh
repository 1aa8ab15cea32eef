# shellcheck shell=bash
# The guest: QEMU's software emulation of a PC with NVDIMMs. Serial port 0 is the console, port 1 carries results.

# What a case may set before a boot.
machine_defaults() {
  persistence=mem-ctrl # or cpu: the caches belong to the persistence domain
  cpu=max
  memory=1G
  seconds=240 # after which the guest is cut off
  devices=()
  media=() # the names of NVDIMMs, in the order of their addresses
}

# nvdimm NAME SIZE [armed|unarmed|readonly]: an NVDIMM on a file of its own, which outlives a boot. An unarmed one cannot
# promise to keep what is stored, so the guest may only read it; a read-only one cannot be written by the machine either.
nvdimm() {
  local backend="memory-backend-file,id=m$1,share=on,mem-path=$folder/$1.img,size=$2"
  local device="nvdimm,id=n$1,memdev=m$1,label-size=1M"
  [ "${3:-armed}" = armed ] || device+=,unarmed=on
  [ "${3:-armed}" != readonly ] || backend+=,readonly=on
  [ -e "$folder/$1.img" ] || truncate --size "$2" "$folder/$1.img"
  devices+=(-object "$backend" -device "$device")
  media+=("$1")
}

# virtio_pmem NAME SIZE: what a hypervisor gives for a file in its page cache. It has no MAP_SYNC.
virtio_pmem() {
  [ -e "$folder/$1.img" ] || truncate --size "$2" "$folder/$1.img"
  devices+=(-object "memory-backend-file,id=m$1,share=on,mem-path=$folder/$1.img,size=$2"
    -device "virtio-pmem-pci,memdev=m$1,id=v$1")
  media+=("$1")
}

# qemu_arguments STEP: sets `arguments`, without the serial ports.
qemu_arguments() {
  local accelerator=tcg,thread=multi,tb-size=512
  if [ "${PMEM_VM_KVM:-0}" = 1 ] && [ -w /dev/kvm ]; then accelerator=kvm; fi
  arguments=(qemu-system-x86_64 -accel "$accelerator" -nodefaults -no-user-config -no-reboot -display none
    -M "q35,nvdimm=on,nvdimm-persistence=$persistence" -cpu "$cpu" -smp 1
    -m "$memory,slots=$((${#media[@]} + 1)),maxmem=16G"
    -kernel "$kernel/vmlinux" -initrd "$initrd"
    -append "console=ttyS0 quiet panic=-1 pmem.case=$name pmem.step=$1 pmem.media=$(IFS=,; echo "${media[*]}")"
    -drive "file=$image,format=raw,if=none,id=root,readonly=on" -device virtio-blk-pci,drive=root
    "${devices[@]}")
}

# boot STEP: runs the guest to its end, and adds what it reports to the case's results. A guest that does not report its
# end has failed.
boot() {
  local started=$SECONDS
  start_names "$1"
  timeout --signal=KILL "$seconds" "${arguments[@]}" \
    -serial "file:$console" -serial "file:$answers" </dev/null >"$folder/$1.qemu" 2>&1
  judge_boot "$1" $?
  say "$name/$1: $((SECONDS - started)) s"
}

start_names() {
  console=$folder/$1.console
  answers=$folder/$1.answers
  qemu_arguments "$1"
  : >"$answers"
}

judge_boot() {
  grep -v '^end$' "$answers" >>"$results"
  if ! grep -q '^end$' "$answers"; then
    if [ "$2" = 137 ]; then
      echo "fail 1 $name/$1: the guest was cut off after $seconds s" >>"$results"
    else
      echo "fail 1 $name/$1: the guest stopped before its end (QEMU: $2)" >>"$results"
    fi
  fi
  grep -q '^fail' "$answers" || grep -q "^fail 1 $name/$1" "$results" || return 0
  echo "--- the end of the console of $name/$1 ($console):"
  tail -n 60 "$folder/$1.qemu"
  tr -d '\r' <"$console" | tail -n 80
  echo "---"
}
