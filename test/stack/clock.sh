#!/usr/bin/env bash
# Builds the library of clock.c.
#   clock.sh FILE      writes it to FILE
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
command -v "${CC:-gcc}" >/dev/null || "$here/apt.sh" gcc libc6-dev
"${CC:-gcc}" -O2 -Wall -Wextra -Werror -shared -fPIC -o "$1" "$here/clock.c"
