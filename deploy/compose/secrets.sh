#!/usr/bin/env bash
# Makes the secrets that docker-compose.yml mounts: random passwords, and the addresses that hold them.
#   secrets.sh DIR
# What is there stays: Postgres and MLflow took the passwords when their data was made, and would not know new ones. The certificates of Kafka, Postgres and MLflow are good for two years, and
# made anew within their last 21 days, each by the authority in the directory of its name. Who has an authority removes that directory, and puts the files of its name into DIR: NAME_ca and NAME_tls_crt, NAME_tls_key
# (Kafka: kafka_tls_pem, and kafka_admin_pem of who may do all there).
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

# url ROLE MORE: within the network of docker-compose.yml
url() {
  printf 'postgres://%s:%s@postgres:5432/mlmonitor?%s' "$1" "$(cat "$dir/$1_password")" "$2"
}

# certificate NAME USAGE FILES SERVER...: a server's, by an authority of its own: so nobody else's certificate passes for it
certificate() {
  local name=$1 usage=$2 pairs=$3
  shift 3
  [ -d "$dir/$name" ] || [ ! -s "$dir/${name}_ca" ] || return 0
  DAYS=730 USAGE=$usage "$(dirname "$0")/../certs/certs.sh" "$dir/$name" "$@"
  place "$dir/$name" "$name" "$pairs"
}

# place DIRECTORY NAME FILES: makes secrets of the files of a certificate, instead of those of the one before
place() {
  local pair
  for pair in $3; do
    cmp -s "$1/${pair#*=}" "$dir/$2_${pair%=*}" || rm -f "$dir/$2_${pair%=*}"
    keep "$2_${pair%=*}" cat "$1/${pair#*=}"
  done
}

for role in postgres owner audit reader grafana; do keep "${role}_password" random; done
clear=sslmode=disable verified='sslmode=verify-full&sslrootcert=/run/secrets/postgres_ca'
for role in owner audit reader; do
  # Addresses of before, from when Postgres was reached in clear.
  [ ! -e "$dir/${role}_url" ] || [ "$(cat "$dir/${role}_url")" != "$(url "$role" "$clear")" ] || rm -f "$dir/${role}_url"
  keep "${role}_url" url "$role" "$verified"
done
for user in score audit api replay produce operate; do keep "kafka_${user}_password" random; done
for user in admin scorer trainer; do keep "mlflow_${user}_password" random; done
keep mlflow_secret_key random
certificate kafka serverAuth,clientAuth 'ca=ca.crt tls_pem=tls.pem' kafka kafka-2 kafka-3
if [ -d "$dir/kafka" ]; then # who makes topics and users: the brokers' authority vouches for him too, but he is no broker
  AUTHORITY=$dir/kafka DAYS=730 USAGE=clientAuth "$(dirname "$0")/../certs/certs.sh" "$dir/kafka/admin" admin
  place "$dir/kafka/admin" kafka_admin pem=tls.pem
elif [ ! -s "$dir/kafka_admin_pem" ]; then
  echo "secrets.sh: $dir/kafka_admin_pem is missing: key and certificate of CN=admin, for clients, by your authority of Kafka" >&2
  exit 1
fi
for name in postgres mlflow; do certificate "$name" serverAuth 'ca=ca.crt tls_crt=tls.crt tls_key=tls.key' "$name"; done
keep airflow_passwords printf '{"admin": "%s"}\n' "$(random)"
# Others give these: until they are there, alerts stay with Alertmanager.
for key in pagerduty_key slack_url; do [ -e "$dir/$key" ] || { : >"$dir/$key" && chmod 444 "$dir/$key"; }; done
