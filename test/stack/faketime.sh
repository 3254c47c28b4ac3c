#!/usr/bin/env bash
# Prints the path of the library that gives one process a clock of its own, from Debian's package libfaketime; installs it first where it is missing.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
"$here/apt.sh" libfaketime
dpkg-query -L libfaketime | grep -m 1 'libfaketimeMT\.so'
