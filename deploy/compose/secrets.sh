#!/usr/bin/env bash
# Makes the secrets that docker-compose.yml mounts: random passwords, and the addresses that hold them.
#   secrets.sh DIR
# What is there stays: Postgres and MLflow took the passwords when their data was made, and would not know new ones. MLflow's certificate is made anew when it ends within 21 days, by the authority
# in DIR/mlflow. Who has an authority removes that directory, and puts mlflow_ca, mlflow_tls_crt and mlflow_tls_key into DIR.
set -euo pipefail
umask 077
dir=${1:?usage: secrets.sh DIR}

# Only the owner may enter the directory, so nobody else on this host can read the files. The files themselves are readable by all, since
# compose mounts a file with its owner and mode as they are, and the users in the containers (65532, postgres) are not its owner.
mkdir -p "$dir"
chmod 700 "$dir"

# keep NAME COMMAND...: what the command prints becomes the secret, unless there is one
keep() {
  local name=$1
  shift
  [ ! -s "$dir/$name" ] || return 0
  "$@" >"$dir/.$name"
  chmod 444 "$dir/.$name"
  mv "$dir/.$name" "$dir/$name"
  echo "made $dir/$name"
}

random() {
  od -An -v -tx1 -N24 /dev/urandom | tr -d ' \n'
}

# url ROLE: within the network of docker-compose.yml, which has no way out
url() {
  printf 'postgres://%s:%s@postgres:5432/mlmonitor?sslmode=disable' "$1" "$(cat "$dir/$1_password")"
}

for role in postgres owner audit reader grafana; do keep "${role}_password" random; done
for role in owner audit reader; do keep "${role}_url" url "$role"; done
for user in admin scorer trainer; do keep "mlflow_${user}_password" random; done
keep mlflow_secret_key random
if [ -d "$dir/mlflow" ] || [ ! -s "$dir/mlflow_tls_crt" ]; then
  "$(dirname "$0")/../certs/certs.sh" "$dir/mlflow" mlflow
  for pair in mlflow_ca=ca.crt mlflow_tls_crt=tls.crt mlflow_tls_key=tls.key; do
    cmp -s "$dir/mlflow/${pair#*=}" "$dir/${pair%=*}" || rm -f "$dir/${pair%=*}"
    keep "${pair%=*}" cat "$dir/mlflow/${pair#*=}"
  done
fi
keep airflow_passwords printf '{"admin": "%s"}\n' "$(random)"
# Others give these: until they are there, alerts stay with Alertmanager.
for key in pagerduty_key slack_url; do [ -e "$dir/$key" ] || { : >"$dir/$key" && chmod 444 "$dir/$key"; }; done
