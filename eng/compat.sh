#!/bin/sh
# compat.sh [REVISION]: packs a revision, the last release unless one is named, and holds the packages of this tree against
# it: what a program that was compiled against the one needs must be in the other. Breaks that are meant are written to
# CompatibilitySuppressions.xml beside the project by -p:ApiCompatGenerateSuppressionFile=true.
set -eu
cd "$(dirname "$0")/.."
revision=${1:-$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)}
[ -n "$revision" ] || { echo "compat.sh: nothing was released yet (no tag v*): nothing to be compatible with"; exit 0; }
work=$(mktemp -d)
trap 'git worktree remove --force "$work/tree" 2>/dev/null; rm -rf "$work"' EXIT
git worktree add -q --detach "$work/tree" "$revision"
"$work/tree/eng/pack.sh" "$work/baseline"
for project in src/*/*.?sproj; do
  name=$(basename "$project" | sed 's/\..sproj$//; s/\.CSharp$//; s/\.Fs$//')
  baseline=$(find "$work/baseline" -name "$name.[0-9]*.nupkg")
  [ -n "$baseline" ] || { echo "$name: new since $revision"; continue; }
  dotnet pack "$project" -c Release -v quiet -nologo -o "$work/now" "-p:PackageValidationBaselinePath=$baseline"
  echo "$name: compatible with $revision"
done
