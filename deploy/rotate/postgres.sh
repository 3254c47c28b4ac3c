#!/usr/bin/env bash
# Gives a role of the audit database another password, while everything runs.
#   postgres.sh ROLE DIR
# DIR holds ROLE_password, and ROLE_url where a process reads one (DATABASE_URL_FILE); both get the new password. psql connects as libpq's environment says (PGHOST, PGPORT, PGUSER …), as somebody
# who may alter the role. Processes take the new password with their next connection; those that they have go on.
set -euo pipefail
umask 077
role=${1:?usage: postgres.sh ROLE DIR} dir=${2:?usage: postgres.sh ROLE DIR}
[[ $role =~ ^[a-z_]+$ ]] || { echo "postgres.sh: $role is no name of a role" >&2; exit 2; }
[ -s "$dir/${role}_password" ] || { echo "postgres.sh: $dir/${role}_password is missing" >&2; exit 1; }

# like FILE: what stands on standard input gets its place, with its owner and mode
like() {
  cat >"$1.new"
  chmod --reference="$1" "$1.new"
  chown --reference="$1" "$1.new"
}

old=$(cat "$dir/${role}_password")
od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n' | like "$dir/${role}_password"
new=$(cat "$dir/${role}_password.new")
if [ -s "$dir/${role}_url" ]; then
  url=$(cat "$dir/${role}_url")
  [[ $url == *":$old@"* ]] || { echo "postgres.sh: $dir/${role}_url does not have the password of $dir/${role}_password" >&2; exit 1; }
  printf '%s' "${url/":$old@"/":$new@"}" | like "$dir/${role}_url"
fi
# The password comes by standard input: it stands in no list of processes, and in no log of the server's.
psql -qX -v ON_ERROR_STOP=1 <<SQL
SET log_statement = 'none';
SET log_min_error_statement = 'panic';
SET log_min_duration_statement = -1;
SET password_encryption = 'scram-sha-256';
ALTER ROLE $role PASSWORD '$new';
SQL
for name in password url; do [ ! -f "$dir/${role}_$name.new" ] || mv "$dir/${role}_$name.new" "$dir/${role}_$name"; done
echo "$role has another password"
