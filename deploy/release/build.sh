#!/usr/bin/env bash
# Builds what a release publishes, from a commit and nothing else: what lies about in the work tree is not in it.
#   build.sh DIR [COMMIT]
# DIR is emptied first. It gets for each platform the static program, an archive of it with its documents and the licences of all that is in it, and its SBOM; and
# SHA256SUMS of all. The same commit and the same Go give the same bytes, wherever and whenever they are built; check.sh proves it.
# GOCACHE_PRODUCT: where the program's packages are compiled into, unless into Go's usual cache.
set -euo pipefail
out=${1:?usage: build.sh DIR [COMMIT]}
commit=$(git rev-parse "${2:-HEAD}^{commit}")
version=${VERSION:-$(git describe --tags --always "$commit")}
seconds=$(git show -s --format=%ct "$commit")
date=$(TZ=UTC git show -s --format=%cd --date=format-local:%Y-%m-%dT%H:%M:%SZ "$commit")
tar --version 2>/dev/null | grep -q 'GNU tar' || { echo "build.sh: GNU tar is needed: archives of others differ" >&2; exit 1; }

# Nothing of the builder's settings may reach the bytes.
export LC_ALL=C GOFLAGS=-mod=readonly GOWORK=off GOEXPERIMENT='' GOAMD64=v1 GOARM64=v8.0
umask 022
rm -rf "$out"
mkdir -p "$out"
out=$(cd "$out" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
mkdir "$work/source" "$work/tools"
git archive "$commit" | tar -x -C "$work/source"

# quietly COMMAND...: what it says is shown when it fails
quietly() {
  "$@" 2>"$work/said" || { cat "$work/said" >&2; return 1; }
}

echo "tools"
CGO_ENABLED=0 go build -C "$work/source/deploy/release/tools" -trimpath -buildvcs=false -o "$work/tools/" tool

cd "$work/source"
export CGO_ENABLED=0
flags=(-trimpath -buildvcs=false -ldflags "-s -w -X main.version=$version -X main.commit=$commit -X main.commitDate=$date")
compile() { # PLATFORM FILE
  echo "$1"
  GOOS=${1%/*} GOARCH=${1#*/} GOCACHE=${GOCACHE_PRODUCT:-$(go env GOCACHE)} go build "${flags[@]}" -o "$2" ./cmd/mlmonitor
}

# licences DIR: the list of what is in DIR/mlmonitor, and the texts. Other licences than these want a look by a person first.
licences() {
  local ours=(--ignore github.com/mlmonitor/mlmonitor ./cmd/mlmonitor)
  # It takes for the standard library what is below GOROOT, which a tool that was built with -trimpath must be told: else it finds nothing at all.
  local -x GOROOT
  GOROOT=$(go env GOROOT)
  quietly "$work/tools/go-licenses" check --allowed_licenses Apache-2.0,BSD-2-Clause,BSD-3-Clause,MIT "${ours[@]}"
  quietly "$work/tools/go-licenses" save --save_path "$1/licenses" "${ours[@]}"
  mkdir "$1/licenses/go"
  cp "$GOROOT/LICENSE" "$1/licenses/go/"
  {
    echo "package,version,licence"
    {
      quietly "$work/tools/go-licenses" report --template deploy/release/licenses.tpl "${ours[@]}"
      echo "Go's standard library,$(go env GOVERSION),BSD-3-Clause"
    } | sort -u
  } >"$1/LICENSES.csv"
  local module
  go version -m "$1/mlmonitor" | awk '$1 == "dep" {print $2}' | while read -r module; do
    grep -q "^${module}[/,]" "$1/LICENSES.csv" || { echo "build.sh: no licence is listed for $module, which is in the program" >&2; return 1; }
  done
}

for platform in linux/amd64 linux/arm64; do
  name=mlmonitor_${version}_${platform/\//_}
  stage=$work/$name
  mkdir "$stage"
  compile "$platform" "$stage/mlmonitor"
  cp LICENSE README.md CHANGELOG.md "$stage/"
  GOOS=${platform%/*} GOARCH=${platform#*/} licences "$stage"
  # From the program itself, not from go.mod: what the linker took. The modules are in the cache by now; the network must not decide what is in the file.
  GOPROXY=off quietly "$work/tools/cyclonedx-gomod" bin -json -noserial -notimestamp -licenses -std -version "$version" -output "$out/$name.cdx.json" "$stage/mlmonitor"
  cp "$stage/LICENSES.csv" "$out/$name.licenses.csv"
  cp "$stage/mlmonitor" "$out/$name"
  tar -C "$work" --format=ustar --sort=name --mtime="@$seconds" --owner=0 --group=0 --numeric-owner --mode=u=rwX,go=rX -cf - "$name" | gzip -n -9 >"$out/$name.tar.gz"
done
# Nothing is published for it; it must not break for those who develop there.
[ -n "${ONLY_PUBLISHED:-}" ] || compile darwin/arm64 /dev/null

cd "$out"
sha256sum -- * >"$work/sums"
mv "$work/sums" SHA256SUMS
cat SHA256SUMS
