#!/bin/sh
# compat.sh [REVISION]: packs a revision, the last release unless one is named, and holds the packages of this tree against
# it: what a program that was compiled against the one needs must be in the other. Names every package that breaks, and then
# fails. Breaks that are meant are written to CompatibilitySuppressions.xml beside the project by
# -p:ApiCompatGenerateSuppressionFile=true. tests/packages holds that it passes and fails when it must.
set -eu
cd "$(dirname "$0")/.."
revision=${1:-$(git describe --tags --abbrev=0 --match 'v[0-9]*' 2>/dev/null || true)}
[ -n "$revision" ] || { echo "compat.sh: nothing was released yet (no tag v*): nothing to be compatible with"; exit 0; }
work=$(mktemp -d)
trap 'git worktree remove --force "$work/tree" 2>/dev/null; rm -rf "$work"' EXIT
git worktree add -q --detach "$work/tree" "$revision"
breaks=
for project in src/*/*.?sproj; do
  # A tool has no API.
  ! grep -q '<PackAsTool>true' "$project" || continue
  name=$(basename "$project" | sed 's/\..sproj$//; s/\.CSharp$//; s/\.Fs$//')
  [ -f "$work/tree/$project" ] || { echo "$name: new since $revision"; continue; }
  dotnet pack "$work/tree/$project" -c Release -v quiet -nologo -o "$work/baseline"
  baseline=$(find "$work/baseline" -name "$name.[0-9]*.nupkg")
  if dotnet pack "$project" -c Release -v quiet -nologo -o "$work/now" "-p:PackageValidationBaselinePath=$baseline"; then
    echo "$name: compatible with $revision"
  else
    echo "$name: NOT compatible with $revision"
    breaks="$breaks $name"
  fi
done
[ -z "$breaks" ] || { echo "compat.sh: not compatible with $revision:$breaks"; exit 1; }
