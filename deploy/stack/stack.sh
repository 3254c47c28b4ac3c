#!/usr/bin/env bash
# The stack of docker-compose.yml without containers: on a Debian machine, on loopback, from packages. For trying out, and for tests.
#
#   stack.sh up DIR        start what does not run: Kafka, Postgres, MLflow, Prometheus, Alertmanager, two scorers, the audit, three APIs behind nginx; returns when all are ready
#   stack.sh down DIR      end it in an orderly way; the data stay
#   stack.sh status DIR    what runs, and what doctor says
#
# Read from the environment: MLMONITOR, the program (bin/mlmonitor); BASE_PORT (20000), the first of forty ports.
# DIR/env then has what clients need. Grafana is not among Debian's packages: import deploy/grafana/dashboards into one that you have.
set -euo pipefail

root=$(cd "$(dirname "$0")/../.." && pwd)
program=${MLMONITOR:-$root/bin/mlmonitor}
base=${BASE_PORT:-20000}
servers=$root/test/stack
export TLS_DAYS=365 # the data stay, so others than a test may come back to them

die() {
  echo "stack.sh: $*" >&2
  exit 1
}

# role DIR NAME PORT COMMAND [VARIABLE=value...]: keeps a role running: started again when it ends, until DIR/run/NAME.pid is gone
role() {
  local dir=$1 name=$2 port=$3 command=$4
  shift 4
  if running "$dir" "$name" >/dev/null; then return; fi
  # shellcheck disable=SC2016 # the inner shell's
  env KAFKA_BROKERS="localhost:$((base + 2))" KAFKA_TLS_CA_FILE="$dir/kafka/tls/ca.crt" KAFKA_SASL_MECHANISM=SCRAM-SHA-512 KAFKA_SASL_USERNAME="$command" KAFKA_SASL_PASSWORD_FILE="$dir/secrets/kafka_${command}_password" \
    INSTANCE_ID="$name" OPS_PORT="$port" BUNDLE_DIR=sample MODEL_CACHE_DIR="$dir/models/$name" "$@" \
    setsid bash -c 'trap "kill \$child 2>/dev/null; wait \$child; exit 0" TERM; while :; do "$0" "$1" & child=$!; wait $child || true; sleep 1; done' \
    "$program" "$command" >>"$dir/log/$name" 2>&1 </dev/null &
  echo $! >"$dir/run/$name.pid"
}

running() {
  local pid
  pid=$(cat "$1/run/$2.pid" 2>/dev/null) && kill -0 "$pid" 2>/dev/null && echo "$pid"
}

# ready NAME PORT: waits
ready() {
  for _ in $(seq 1800); do
    if curl -fsS "http://127.0.0.1:$2/ready" >/dev/null 2>&1; then return; fi
    sleep 0.1
  done
  die "$1 does not become ready: $(curl -sS "http://127.0.0.1:$2/ready" 2>&1)"
}

# secret NAME COMMAND...: what the command prints, once
secret() {
  local file=$1
  shift
  [ -s "$file" ] || (umask 077 && "$@" >"$file")
}

roles=(score-1 score-2 audit-1 api-1 api-2 api-3)

up() {
  local dir=$1 i upstreams=()
  [ -x "$program" ] || die "$program is missing: make build"
  command -v curl >/dev/null || "$servers/apt.sh" curl
  mkdir -p "$dir"/{run,log,models}
  KAFKA_PORTS=$base KAFKA_CONTROLLER_PORTS=$((base + 1)) KAFKA_SECURE=1 KAFKA_SECURE_PORTS=$((base + 2)) \
    KAFKA_PROPERTIES=add.partitions.to.txn.retry.backoff.ms=1 "$servers/kafka.sh" start "$dir/kafka" # as docker-compose.yml says
  chmod 711 "$dir"
  PGPORT=$((base + 3)) "$servers/postgres.sh" start "$dir/postgres"
  MLFLOW_SECURE=1 MLFLOW_PORT=$((base + 4)) "$servers/mlflow.sh" start "$dir/mlflow"
  # shellcheck source=/dev/null
  pg() { sed -n "s/^$1=//p" "$dir/postgres/env"; }
  mkdir -p "$dir/secrets"
  chmod 700 "$dir/secrets"
  secret "$dir/secrets/kafka_admin_password" sed -n 's/^KAFKA_ADMIN_PASSWORD=//p' "$dir/kafka/env"
  for i in score audit api; do secret "$dir/secrets/kafka_${i}_password" openssl rand -hex 24; done
  (umask 077 && cat >"$dir/env" <<CONF
export KAFKA_BROKERS=localhost:$((base + 2)) KAFKA_TLS_CA_FILE=$dir/kafka/tls/ca.crt KAFKA_SASL_MECHANISM=SCRAM-SHA-512
export KAFKA_SASL_USERNAME=admin KAFKA_SASL_PASSWORD_FILE=$dir/secrets/kafka_admin_password
export DATABASE_URL='$(pg PG_OWNER_URL)'
export CURL_CA_BUNDLE=$dir/nginx/tls/ca.crt
CONF
  )
  # shellcheck source=/dev/null
  (source "$dir/env" && "$program" topics && "$program" topics users score audit api --passwords "$dir/secrets") >/dev/null
  DATABASE_URL=$(pg PG_OWNER_URL) "$program" migrate >/dev/null
  for i in 1 2; do role "$dir" "score-$i" $((base + 10 + i)) score; done
  role "$dir" audit-1 $((base + 15)) audit "DATABASE_URL=$(pg PG_WRITER_URL)"
  for i in 1 2 3; do
    role "$dir" "api-$i" $((base + 20 + i)) api API_AUTH=off API_PORT=$((base + 30 + i)) API_TRUSTED_PROXIES=127.0.0.0/8 "API_DATABASE_URL=$(pg PG_READER_URL)"
    upstreams+=("127.0.0.1:$((base + 30 + i))")
  done
  mkdir -p "$dir/nginx" "$dir/monitoring/rules"
  "$root/deploy/certs/certs.sh" "$dir/nginx/tls"
  NGINX_PORT=$((base + 7)) NGINX_HTTP_PORT=$((base + 8)) UPSTREAMS="${upstreams[*]}" "$servers/nginx.sh" start "$dir/nginx"
  cp "$root"/deploy/prometheus/rules/*.yml "$dir/monitoring/rules/"
  cp -r "$root/deploy/alertmanager/." "$dir/monitoring/"
  targets() { printf '  - {job_name: mlmonitor-%s, static_configs: [{targets: [' "$1" && shift && printf '"127.0.0.1:%s",' "$@" && printf ']}]}\n'; }
  { sed -e '/^scrape_configs:/,$d' -e "s/alertmanager:9093/127.0.0.1:$((base + 6))/" "$root/deploy/prometheus/prometheus.yml" && echo scrape_configs: && targets score $((base + 11)) $((base + 12)) && targets audit $((base + 15)) && targets api $((base + 21)) $((base + 22)) $((base + 23)); } >"$dir/monitoring/prometheus.yml"
  PROMETHEUS_PORT=$((base + 5)) ALERTMANAGER_PORT=$((base + 6)) "$servers/monitoring.sh" start "$dir/monitoring"
  for i in 11 12; do ready "score-$((i - 10))" $((base + i)); done
  ready audit-1 $((base + 15))
  for i in 1 2 3; do ready "api-$i" $((base + 20 + i)); done
  cat <<TEXT
page        https://localhost:$((base + 7))   (the authority is $dir/nginx/tls/ca.crt)
Prometheus  http://127.0.0.1:$((base + 5))
Alerts      http://127.0.0.1:$((base + 6))
MLflow      https://localhost:$((base + 4))   (users, their passwords and the authority are in $dir/mlflow/secrets)
for clients: source $dir/env   (who may do all)
TEXT
}

down() {
  local dir=$1 name pid
  for name in "${roles[@]}"; do
    if pid=$(running "$dir" "$name"); then kill -TERM "$pid"; fi
  done
  for name in "${roles[@]}"; do
    for _ in $(seq 300); do
      running "$dir" "$name" >/dev/null || break
      sleep 0.1
    done
    rm -f "$dir/run/$name.pid"
  done
  [ ! -d "$dir/nginx" ] || "$servers/nginx.sh" stop "$dir/nginx"
  [ ! -d "$dir/monitoring" ] || "$servers/monitoring.sh" stop "$dir/monitoring"
  [ ! -d "$dir/mlflow" ] || "$servers/mlflow.sh" stop "$dir/mlflow"
  [ ! -d "$dir/postgres" ] || "$servers/postgres.sh" stop "$dir/postgres"
  [ ! -d "$dir/kafka" ] || "$servers/kafka.sh" stop "$dir/kafka"
}

status() {
  local dir=$1 name
  for name in "${roles[@]}"; do
    if running "$dir" "$name" >/dev/null; then echo "$name runs"; else echo "$name does not run"; fi
  done
  # shellcheck source=/dev/null
  (source "$dir/env" && "$program" doctor)
}

verb=${1:-} dir=$(realpath -m "${2:-.}")
case $verb:$# in
  up:2) up "$dir" ;;
  down:2) down "$dir" ;;
  status:2) status "$dir" ;;
  *)
    sed -n '2,10s/^# \{0,1\}//p' "$0" >&2
    exit 2
    ;;
esac
