#!/usr/bin/env bash
# A real Apache Kafka 4 (KRaft, every node broker and controller) on loopback, without a container engine. Needs Java 17; Maven once.
#
#   kafka.sh install                  fetch the jars into the cache, and note what a node loads of them, once
#   kafka.sh start DIR                make or continue the cluster in DIR; returns when every node serves
#   kafka.sh stop DIR                 end all nodes in an orderly way
#   kafka.sh kill9 DIR NODE           end one node as a power cut would; returns when it is gone
#   kafka.sh restart DIR NODE         start a node that is down; returns when it serves
#   kafka.sh pause|resume DIR NODE    freeze and thaw a node
#
# Read from the environment by the start that makes the cluster:
#   KAFKA_PORTS             ports of the clients' listeners, one per node (19092): their number, 1 or 3, is the number of nodes
#   KAFKA_CONTROLLER_PORTS  as many for the controllers (each client port + 100)
#   KAFKA_SECURE            1: a second listener with TLS (own CA, DIR/tls/ca.crt) and SCRAM-SHA-512, and ACLs
#   KAFKA_SECURE_PORTS      its ports (each client port + 200)
#   KAFKA_SECURE_TOLD       the ports that its clients are told (of proxies that lead there)
#   KAFKA_LISTENERS         further plain listeners, a line each: NAME, a port per node, and per node the port that clients are told (of a proxy
#                           that leads there). One called PEERS is what the nodes use among themselves
#   KAFKA_VOTERS            per node, a line each: the ports at which it finds the controllers (of proxies)
#   KAFKA_CLUSTER_ID        its id (mlmonitor-test-cluster)
#   TLS_DAYS                how long its certificates are good for (7)
#   KAFKA_PROPERTIES        further lines for server.properties
#   KAFKA_JVM               Java's options (-Xms384m -Xmx384m -XX:+UseG1GC)
# and by every start: OWNER_PID (the nodes are stopped and DIR is removed when that process has ended).
#
# DIR/env then has KAFKA_BROKERS and, secure, KAFKA_SECURE_BROKERS, KAFKA_CA_FILE, KAFKA_ADMIN_PASSWORD (user admin: may do all) and
# KAFKA_APP_PASSWORD (user app: may do what ACLs grant it, at first nothing). Who comes without a password, from loopback, may do all.
set -euo pipefail

here=$(cd "$(dirname "$0")" && pwd)
version=$(sed -n 's:.*<kafka.version>\(.*\)</kafka.version>.*:\1:p' "$here/pom.xml")
jars=${XDG_CACHE_HOME:-$HOME/.cache}/mlmonitor/kafka/$version
# With the classes of a node as Java maps them, a start takes half the processor's time. An archive that is not of this Java is passed over.
archive=$jars/classes.jsa
java=(java -cp "$jars/*" -XX:SharedArchiveFile="$archive" -Xshare:auto -Xlog:cds=off -Xlog:cds+dynamic=off)

die() {
  echo "kafka.sh: $*" >&2
  exit 1
}

install() {
  command -v java >/dev/null || die "java is missing: install Java 17 (Debian: openjdk-17-jre-headless)"
  command -v openssl >/dev/null || "$here/apt.sh" openssl
  if [ ! -d "$jars" ]; then fetch; fi
  [ -f "$archive" ] || note
}

fetch() {
  command -v mvn >/dev/null || die "mvn is missing: install Maven (Debian: maven); it is needed once, to fetch the jars"
  local partial
  mkdir -p "${jars%/*}"
  partial=$(mktemp -d "$jars.XXXXXX")
  mvn -q -B --strict-checksums -f "$here/pom.xml" dependency:copy-dependencies -DoutputDirectory="$partial" </dev/null >&2 ||
    { rm -rf "$partial"; die "the jars of Kafka $version could not be fetched, see above"; }
  chmod 755 "$partial"
  # Only whole downloads get the name. Another install may have been faster.
  mv -T "$partial" "$jars" 2>/dev/null || rm -rf "$partial"
}

# note makes the archive, from a node that is started and stopped, on ports that tests are not given. Without one everything works, only slower.
note() {
  local dir port=$((8000 + RANDOM % 600)) java=(java -cp "$jars/*") KAFKA_LISTENERS='' KAFKA_VOTERS='' KAFKA_PROPERTIES='' KAFKA_SECURE_TOLD=''
  local KAFKA_PORTS=$port KAFKA_CONTROLLER_PORTS=$((port + 600)) KAFKA_SECURE=1 KAFKA_SECURE_PORTS=$((port + 1200))
  local KAFKA_JVM="-Xms384m -Xmx384m -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -XX:ArchiveClassesAtExit=$archive.$port"
  dir=$(mktemp -d)
  (prepare "$dir" && launch "$dir" 1 && serving "$dir" 1 && stop "$dir") 2>"$dir/note.log" || { cat "$dir/note.log" >&2 && stop "$dir"; }
  rm -rf "$dir"
  [ ! -f "$archive.$port" ] || mv "$archive.$port" "$archive"
}

# shifted BY PORT...: each port plus BY
shifted() {
  local by=$1 port
  shift
  for port; do echo -n "$((port + by)) "; done
}

# join SEPARATOR WORD...
join() {
  local IFS=$1
  shift
  echo "$*"
}

certificates() {
  local tls=$1
  mkdir -p "$tls"
  {
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days "${TLS_DAYS:-7}" -subj '/CN=Kafka test CA' \
      -keyout "$tls/ca.key" -out "$tls/ca.crt"
    openssl req -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -subj '/CN=localhost' -keyout "$tls/node.key" -out "$tls/node.csr"
    openssl x509 -req -in "$tls/node.csr" -CA "$tls/ca.crt" -CAkey "$tls/ca.key" -CAcreateserial -days "${TLS_DAYS:-7}" -out "$tls/node.crt" \
      -extfile <(echo 'subjectAltName=DNS:localhost,IP:127.0.0.1')
  } 2>"$tls/openssl.log" || { cat "$tls/openssl.log" >&2; die "make certificates in $tls"; }
  (umask 077 && cat "$tls/node.key" "$tls/node.crt" >"$tls/node.pem")
}

# properties DIR NODE, with the arrays ports, controllers and secures of prepare
properties() {
  local dir=$1 node=$2 nodes=${#ports[@]} i=$(($2 - 1)) voters=() n in_sync=1
  for n in $(seq "$nodes"); do voters+=("$n@127.0.0.1:${controllers[n - 1]}"); done
  [ "$nodes" = 1 ] || in_sync=2
  local listeners=PLAINTEXT://127.0.0.1:${ports[i]} advertised=PLAINTEXT://127.0.0.1:${ports[i]} peers=PLAINTEXT protocols='' words found
  if [ "${KAFKA_SECURE:-}" = 1 ]; then
    read -ra found <<<"${KAFKA_SECURE_TOLD:-${secures[*]}}"
    listeners+=,SASL_SSL://127.0.0.1:${secures[i]} advertised+=,SASL_SSL://localhost:${found[i]}
  fi
  while read -ra words; do
    [ ${#words[@]} -gt 0 ] || continue
    listeners+=,${words[0]}://127.0.0.1:${words[i + 1]} advertised+=,${words[0]}://127.0.0.1:${words[nodes + i + 1]} protocols+=,${words[0]}:PLAINTEXT
    [ "${words[0]}" != PEERS ] || peers=PEERS
  done <<<"${KAFKA_LISTENERS:-}"
  if [ -n "${KAFKA_VOTERS:-}" ]; then
    read -ra found <<<"$(sed -n "${node}p" <<<"$KAFKA_VOTERS")"
    voters=()
    for n in $(seq "$nodes"); do voters+=("$n@127.0.0.1:${found[n - 1]}"); done
  fi
  cat <<CONF
process.roles=broker,controller
node.id=$node
controller.quorum.voters=$(join , "${voters[@]}")
listeners=$listeners,CONTROLLER://127.0.0.1:${controllers[i]}
advertised.listeners=$advertised
controller.listener.names=CONTROLLER
inter.broker.listener.name=$peers
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SASL_SSL:SASL_SSL$protocols
log.dirs=$dir/$node/data
auto.create.topics.enable=false

# every acknowledged record is on two of three nodes
default.replication.factor=$nodes
min.insync.replicas=$in_sync
offsets.topic.replication.factor=$nodes
transaction.state.log.replication.factor=$nodes
transaction.state.log.min.isr=$in_sync
share.coordinator.state.topic.replication.factor=$nodes
share.coordinator.state.topic.min.isr=$in_sync

# small and quick, as tests want it: few internal partitions, no wait for more members, faults seen in seconds
num.partitions=6
offsets.topic.num.partitions=4
transaction.state.log.num.partitions=4
group.initial.rebalance.delay.ms=0
broker.session.timeout.ms=6000
transaction.abort.timed.out.transaction.cleanup.interval.ms=1000
log.cleaner.dedupe.buffer.size=4194304
CONF
  [ "${KAFKA_SECURE:-}" != 1 ] || cat <<CONF

sasl.enabled.mechanisms=SCRAM-SHA-512
listener.name.sasl_ssl.scram-sha-512.sasl.jaas.config=org.apache.kafka.common.security.scram.ScramLoginModule required;
ssl.keystore.type=PEM
ssl.keystore.location=$dir/tls/node.pem
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
super.users=User:ANONYMOUS;User:admin
CONF
  echo "${KAFKA_PROPERTIES:-}"
}

# prepare DIR: configuration, certificates, formatted storage. DIR/env appears last: what has one is whole.
prepare() {
  local dir=$1 node ports controllers secures users=() formats=() admin app
  read -ra ports <<<"${KAFKA_PORTS:-19092}"
  read -ra controllers <<<"${KAFKA_CONTROLLER_PORTS:-$(shifted 100 "${ports[@]}")}"
  read -ra secures <<<"${KAFKA_SECURE_PORTS:-$(shifted 200 "${ports[@]}")}"
  case ${#ports[@]}:${#controllers[@]}:${#secures[@]} in
    1:1:1 | 3:3:3) ;;
    *) die "KAFKA_PORTS, KAFKA_CONTROLLER_PORTS and KAFKA_SECURE_PORTS must each have 1 or 3 ports" ;;
  esac
  mkdir -p "$dir"
  (umask 077 && echo "KAFKA_BROKERS=$(join , "${ports[@]/#/127.0.0.1:}")" >"$dir/env.partial")
  if [ "${KAFKA_SECURE:-}" = 1 ]; then
    certificates "$dir/tls"
    admin=$(openssl rand -hex 16) app=$(openssl rand -hex 16)
    users=(--add-scram "SCRAM-SHA-512=[name=admin,password=$admin]" --add-scram "SCRAM-SHA-512=[name=app,password=$app]")
    cat >>"$dir/env.partial" <<CONF
KAFKA_SECURE_BROKERS=$(join , "${secures[@]/#/localhost:}")
KAFKA_CA_FILE=$dir/tls/ca.crt
KAFKA_ADMIN_PASSWORD=$admin
KAFKA_APP_PASSWORD=$app
CONF
  fi
  cat >"$dir/log4j2.properties" <<'CONF'
rootLogger=WARN, stdout
appender.stdout.name=stdout
appender.stdout.type=Console
appender.stdout.layout.type=PatternLayout
appender.stdout.layout.pattern=%d %p %c{1} %m%n
logger.started.name=kafka.server.KafkaRaftServer
logger.started.level=INFO
CONF
  echo "${KAFKA_JVM:--Xms384m -Xmx384m -XX:+UseG1GC}" >"$dir/jvm"
  for node in $(seq "${#ports[@]}"); do
    mkdir -p "$dir/$node"
    properties "$dir" "$node" >"$dir/$node/server.properties"
    "${java[@]}" -XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Dlog4j2.configurationFile="$dir/log4j2.properties" \
      kafka.tools.StorageTool format --cluster-id "${KAFKA_CLUSTER_ID:-mlmonitor-test-cluster}" --feature transaction.version=2 \
      --config "$dir/$node/server.properties" "${users[@]}" >"$dir/$node/format.log" 2>&1 &
    formats+=($!)
  done
  for node in $(seq "${#ports[@]}"); do
    wait "${formats[node - 1]}" || { head -n 5 "$dir/$node/format.log" >&2; die "format the storage of node $node"; }
  done
  mv "$dir/env.partial" "$dir/env"
}

# running DIR NODE: its pid; false when it does not run. A pid that was given to another process since does not count.
running() {
  local pid
  pid=$(cat "$1/$2/pid" 2>/dev/null) && grep -qzxF "$1/$2/server.properties" "/proc/$pid/cmdline" 2>/dev/null && echo "$pid"
}

must_run() {
  running "$1" "$2" || die "node $2 of $1 does not run"
}

# launch DIR NODE: unless it runs
launch() {
  local dir=$1 node=$2 options
  [ -d "$dir/$node" ] || die "$dir has no node $node: kafka.sh start makes it"
  if running "$dir" "$node" >/dev/null; then return; fi
  [ ! -f "$dir/$node/log" ] || mv "$dir/$node/log" "$dir/$node/log.before"
  read -ra options <"$dir/jvm"
  setsid "${java[@]}" "${options[@]}" -XX:+ExitOnOutOfMemoryError -Dlog4j2.configurationFile="$dir/log4j2.properties" kafka.Kafka "$dir/$node/server.properties" \
    >"$dir/$node/log" 2>&1 </dev/null &
  echo $! >"$dir/$node/pid"
  # Until java is on the process list under its own name, running would not know it.
  for _ in $(seq 100); do
    if running "$dir" "$node" >/dev/null; then return; fi
    sleep 0.02
  done
}

# serving DIR NODE: waits; three nodes took a minute on two cores that had much else to do
serving() {
  local dir=$1 node=$2
  for _ in $(seq 2000); do
    if grep -qs 'Kafka Server started' "$dir/$node/log"; then return; fi
    running "$dir" "$node" >/dev/null || break
    sleep 0.1
  done
  tail -n 20 "$dir/$node/log" >&2
  die "node $node does not serve, see $dir/$node/log"
}

nodes() {
  local path
  for path in "$1"/[0-9]*/; do [ ! -d "$path" ] || basename "$path"; done
}

start() {
  local dir=$1 node
  install
  [ -f "$dir/env" ] || prepare "$dir"
  [ -z "${OWNER_PID:-}" ] || "$here/watch.sh" "$OWNER_PID" "$0" "$dir"
  for node in $(nodes "$dir"); do launch "$dir" "$node"; done
  for node in $(nodes "$dir"); do serving "$dir" "$node"; done
}

# ended SECONDS DIR NODE...: whether all are gone by then
ended() {
  local tries=$(($1 * 20)) dir=$2 node left
  shift 2
  while [ "$tries" -gt 0 ]; do
    left=
    for node; do if running "$dir" "$node" >/dev/null; then left=1; fi; done
    [ -n "$left" ] || return 0
    tries=$((tries - 1))
    sleep 0.05
  done
  return 1
}

stop() {
  local dir=$1 all node pid
  read -ra all <<<"$(nodes "$dir" | tr '\n' ' ')"
  for node in "${all[@]}"; do
    if pid=$(running "$dir" "$node"); then kill -CONT "$pid" && kill "$pid"; fi
  done
  # Nodes that stop together take each other's quorum away and may then wait for it for long.
  ended 10 "$dir" "${all[@]}" || for node in "${all[@]}"; do
    if pid=$(running "$dir" "$node"); then kill -KILL "$pid"; fi
  done
  ended 10 "$dir" "${all[@]}" || die "nodes of $dir do not end"
}

usage() {
  sed -n '/^#   kafka.sh/s/^#   //p' "$0" >&2
  exit 2
}

verb=${1:-} dir=$(realpath -m "${2:-.}") node=${3:-}
case $verb:$# in
  install:1) install ;;
  start:2) start "$dir" ;;
  stop:2) stop "$dir" ;;
  kill9:3)
    kill -KILL "$(must_run "$dir" "$node")"
    ended 10 "$dir" "$node" || die "node $node does not end"
    ;;
  restart:3)
    launch "$dir" "$node"
    serving "$dir" "$node"
    ;;
  pause:3) kill -STOP "$(must_run "$dir" "$node")" ;;
  resume:3) kill -CONT "$(must_run "$dir" "$node")" ;;
  *) usage ;;
esac
