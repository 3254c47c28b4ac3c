#!/usr/bin/env bash
# Installs the Debian packages that are missing.
#   apt.sh PACKAGE...
# Nothing happens, and no right is needed, when all are there. Else it must run as root; the package lists are fetched only when they are
# missing or too old to install from.
set -euo pipefail

missing=()
for package in "$@"; do
  [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null)" = installed ] || missing+=("$package")
done
[ ${#missing[@]} -gt 0 ] || exit 0

if [ "$(id -u)" != 0 ]; then
  echo "apt.sh: these packages are missing: run as root: apt-get install ${missing[*]}" >&2
  exit 1
fi

get() {
  DEBIAN_FRONTEND=noninteractive apt-get -qq -o Dpkg::Use-Pty=0 -o Dpkg::Options::=--force-confold "$@" </dev/null >&2
}
get install --no-install-recommends -y "${missing[@]}" 2>/dev/null || {
  get update
  get install --no-install-recommends -y "${missing[@]}"
}
