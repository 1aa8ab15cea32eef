#!/bin/sh
# pack.sh FOLDER [OPTION...]: makes every package of the repository into a folder, which is then a package source. The
# options are dotnet pack's, as in -p:Version=0.2.0.
set -eu
[ $# -ge 1 ] || { echo "usage: eng/pack.sh FOLDER [OPTION...]" >&2; exit 2; }
mkdir -p "$1"
feed=$(cd "$1" && pwd)
shift
cd "$(dirname "$0")/.."
# As CI builds: paths in the packages' symbols are the repository's, and the same sources make the same assemblies.
for project in src/*/*.?sproj; do
  dotnet pack "$project" -c Release -v quiet -nologo -o "$feed" -p:ContinuousIntegrationBuild=true "$@"
done
