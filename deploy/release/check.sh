#!/usr/bin/env bash
# Proves a release: it is built twice, in two places, under other settings and with nothing compiled in common, and must have the same bytes; its sums hold; its program runs.
#   check.sh DIR [COMMIT]
# DIR is left with the release. Changes that are not committed are not in it. Takes minutes: the second build begins with an empty cache.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
out=${1:?usage: check.sh DIR [COMMIT]}
commit=$(git rev-parse "${2:-HEAD}^{commit}")
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

echo "== first build"
"$here/build.sh" "$out" "$commit"
echo "== second build"
mkdir -p "$work/elsewhere/and/deeper"
(umask 077 && TZ=Pacific/Auckland TMPDIR=$work/elsewhere/and/deeper GOAMD64=v3 GOCACHE_PRODUCT=$work/cache ONLY_PUBLISHED=yes "$here/build.sh" "$work/second" "$commit")

echo "== compare"
diff -r "$out" "$work/second" || { echo "check.sh: the two builds differ" >&2; exit 1; }
(cd "$out" && sha256sum --check --strict --quiet SHA256SUMS)
listed=$(wc -l <"$out/SHA256SUMS") there=$(find "$out" -type f ! -name SHA256SUMS | wc -l)
[ "$listed" = "$there" ] || { echo "check.sh: SHA256SUMS has $listed files, there are $there" >&2; exit 1; }

echo "== run"
for archive in "$out"/*.tar.gz; do
  name=$(basename "$archive" .tar.gz)
  tar -xzf "$archive" -C "$work"
  for file in mlmonitor LICENSE README.md CHANGELOG.md LICENSES.csv licenses/go/LICENSE; do
    [ -s "$work/$name/$file" ] || { echo "check.sh: $name.tar.gz lacks $file" >&2; exit 1; }
  done
  cmp "$work/$name/mlmonitor" "$out/$name"
  go version -m "$out/$name" | grep -q 'CGO_ENABLED=0' || { echo "check.sh: $name is not static" >&2; exit 1; }
  run=()
  case $name in
    *_linux_amd64) [ "$(uname -sm)" = "Linux x86_64" ] || { echo "check.sh: NOT RUN: $name wants Linux on amd64" >&2; exit 2; } ;;
    *_linux_arm64)
      command -v qemu-aarch64 >/dev/null || { echo "$name was not run: there is no qemu-aarch64"; continue; }
      run=(qemu-aarch64)
      ;;
  esac
  said=$(env -i "${run[@]}" "$work/$name/mlmonitor" --version)
  echo "$said"
  grep -q "^commit *$commit\$" <<<"$said" || { echo "check.sh: $name does not say that it is $commit" >&2; exit 1; }
  env -i "${run[@]}" "$work/$name/mlmonitor" model check sample >/dev/null
done
echo "the release is reproducible: two builds, the same bytes"
