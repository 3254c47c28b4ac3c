#!/usr/bin/env bash
# Looks up in Go's database of vulnerabilities what is built into the program, and the Go that builds it, and says which of them the program calls.
#   vulncheck.sh
# Exits with 0 when there are none, 1 when there are, and 2 when the database could not be asked: then nothing is known. GOVULNDB names another database, also a
# copy: file:///DIR.
set -euo pipefail
cd "$(dirname "$0")/../.."
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
CGO_ENABLED=0 go build -C deploy/release/tools -trimpath -buildvcs=false -o "$work/" golang.org/x/vuln/cmd/govulncheck
code=0
"$work/govulncheck" ${GOVULNDB:+-db "$GOVULNDB"} ./cmd/mlmonitor >"$work/found" 2>"$work/said" || code=$?
cat "$work/found"
case $code in
  0) ;;
  3) echo "vulncheck: there are vulnerabilities that the program may reach" >&2; exit 1 ;;
  *)
    cat "$work/said" >&2
    echo "vulncheck: NOT CHECKED: the database ${GOVULNDB:-at vuln.go.dev} gave no answer. This is not a pass; run it where the database can be reached, or name a copy: GOVULNDB=file:///DIR" >&2
    exit 2
    ;;
esac
