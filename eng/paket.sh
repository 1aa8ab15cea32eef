#!/bin/sh
# Paket with the package feed of the user's own NuGet configuration: Paket itself does not read that, but it
# expands %NUGET_SOURCE%, which is all that paket.dependencies and paket.lock name.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd -P)
# Paket looks upwards for its files, as dotnet does for its tools, and takes paths relative to where it was called, as
# `dotnet pack` gives them. Called from outside the repository, it works on the repository.
case "$(pwd -P)/" in
  "$root"/*) ;;
  *) cd "$root" ;;
esac
if [ -z "${NUGET_SOURCE:-}" ]; then
  NUGET_SOURCE=$(dotnet nuget list source --format short | sed -n 's/^E //p' | head -n 1)
  [ -n "$NUGET_SOURCE" ] || { echo "paket.sh: no enabled NuGet source; see 'dotnet nuget list source'" >&2; exit 1; }
  export NUGET_SOURCE
fi
dotnet tool restore --verbosity quiet >/dev/null || dotnet tool restore
dotnet paket "$@"
# install and update write the address into the lock file: put the variable back.
lock=$root/paket.lock
if [ -f "$lock" ] && grep -qF "$NUGET_SOURCE" "$lock"; then
  awk -v address="$NUGET_SOURCE" '{
    at = index($0, address)
    if (at > 0) $0 = substr($0, 1, at - 1) "%NUGET_SOURCE%" substr($0, at + length(address))
    print
  }' "$lock" > "$lock.new" && mv "$lock.new" "$lock"
fi
