#!/usr/bin/env bash
# A real Apache Kafka for development and tests, without containers (README.md).
#
#   kafka.sh libs                                     fetch the jars of Kafka $KAFKA_VERSION, once
#   kafka.sh start DIR [NODES]                        start brokers with their data in DIR; print their addresses
#   kafka.sh restart DIR NODE…                        start single brokers of DIR anew (they count from 0)
#   kafka.sh stop DIR                                 stop them all
#   kafka.sh console-consumer BOOTSTRAP TOPIC [ARG…]  run Kafka's own console consumer
#   kafka.sh acls ARG…                                run Kafka's own kafka-acls.sh
set -euo pipefail

readonly VERSION=${KAFKA_VERSION:-4.2.0}
readonly PORT=${KAFKA_PORT:-9092} SECURE_PORT=${KAFKA_SECURE_PORT:-9192} CONTROLLER_PORT=${KAFKA_CONTROLLER_PORT:-19092}
readonly SECURITY=${KAFKA_SECURITY:-} PASSWORD=${KAFKA_PASSWORD:-} USER_NAME=seedstream
readonly USERS=${KAFKA_USERS:-}
readonly PROXIED_PORT=${KAFKA_PROXIED_PORT:-} PROXY_PORT=${KAFKA_PROXY_PORT:-}
readonly HEAP=${KAFKA_HEAP:-512m}
readonly START_S=60 STOP_S=20
HERE=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
readonly HERE LIBS=$HERE/.libs/$VERSION

main() {
  local command=${1:-help}
  shift || true
  case $command in
    libs) libs ;;
    start) start "${1:?start needs a folder}" "${2:-}" ;;
    restart) restart "$@" ;;
    stop) stop "${1:?stop needs a folder}" ;;
    console-consumer) console_consumer "$@" ;;
    acls) acls "$@" ;;
    *) sed -n 's/^#   //p' "${BASH_SOURCE[0]}" ;;
  esac
}

fail() {
  echo "kafka.sh: $*" >&2
  exit 1
}

# The jars

libs() {
  local major
  major=$(java -version 2>&1 | sed -nE 's/.*version "([0-9]+).*/\1/p') || true
  [[ ${major:-0} -ge 17 ]] || fail "needs Java 17 or newer on the PATH, found ${major:-none}"
  [[ -d $LIBS ]] || fetch
}

fetch() {
  command -v mvn >/dev/null || fail "needs mvn (Maven) on the PATH once, to fetch Kafka $VERSION"
  mkdir -p "$HERE/.libs"
  temporary=$(mktemp -d "$HERE/.libs/.fetching.XXXXXX")
  trap 'rm -rf "$temporary"' EXIT
  echo "fetching Kafka $VERSION (about 45 MB)" >&2
  mvn -q -B -f "$HERE/pom.xml" "-Dkafka.version=$VERSION" dependency:copy-dependencies \
    "-DoutputDirectory=$temporary" >&2 || fail "Maven could not fetch Kafka $VERSION (above)"
  chmod 755 "$temporary"
  mv "$temporary" "$LIBS"
  rm -rf "${LIBS:?}/$(basename "$temporary")" # it moved into $LIBS if another was faster
}

run_java() { # LEVEL CLASS ARG…: in the place of this shell
  exec java "-Xmx$HEAP" -XX:+UseSerialGC -XX:TieredStopAtLevel=1 "-Dorg.slf4j.simpleLogger.defaultLogLevel=$1" \
    -Dorg.slf4j.simpleLogger.showDateTime=true "-Dorg.slf4j.simpleLogger.dateTimeFormat=HH:mm:ss.SSS" \
    -cp "$LIBS/*" "${@:2}"
}

console_consumer() { # BOOTSTRAP TOPIC ARG…
  [[ $# -ge 2 ]] || fail "console-consumer needs the address of a broker and a topic"
  libs
  run_java error org.apache.kafka.tools.consumer.ConsoleConsumer --bootstrap-server "$1" --topic "$2" "${@:3}"
}

acls() { # ARG…
  local class=org.apache.kafka.tools.AclCommand
  [[ $VERSION != 3.* ]] || class=kafka.admin.AclCommand
  libs
  run_java error "$class" "$@"
}

# The cluster

start() { # DIR NODES
  local dir nodes node folders=()
  libs
  umask 077
  mkdir -p "$1"
  dir=$(cd "$1" && pwd)
  nodes=${2:-$(cat "$dir/nodes" 2>/dev/null || echo 1)}
  prepare "$dir" "$nodes"
  for ((node = 0; node < nodes; node++)); do folders+=("$dir/node-$node"); done
  (launch "${folders[@]}") || {
    stop "$dir"
    exit 1
  }
  listen_at "$PORT" "$nodes"
}

restart() { # DIR NODE…
  local dir node folders=()
  [[ $# -ge 2 && -d $1 ]] || fail "restart needs the folder of a cluster, and nodes"
  libs
  dir=$(cd "$1" && pwd)
  for node in "${@:2}"; do
    [[ -f $dir/node-$node/server.properties ]] || fail "there is no node $node in $1"
    folders+=("$dir/node-$node")
  done
  end "${folders[@]}"
  launch "${folders[@]}"
}

stop() { # DIR
  [[ -d $1 ]] || return 0
  local folders=("$(cd "$1" && pwd)"/node-*)
  [[ ! -d ${folders[0]} ]] || end "${folders[@]}"
}

listen_at() { # PORT NODES: the addresses of all nodes
  local node addresses=""
  for ((node = 0; node < $2; node++)); do addresses+=",localhost:$(($1 + node))"; done
  echo "${addresses:1}"
}

# What the nodes keep: DIR/node-0 and so on, each with its properties, data, log and process id

prepare() { # DIR NODES
  local node pid pids=()
  [[ $2 =~ ^[1-9]$ ]] || fail "expected one to nine nodes, found $2"
  [[ ! -f $1/nodes || $(cat "$1/nodes") == "$2" ]] ||
    fail "$1 is a cluster of $(cat "$1/nodes"), not of $2: start as many, or stop it and remove the folder"
  [[ -z $USERS || -n $SECURITY ]] || fail "KAFKA_USERS needs KAFKA_SECURITY"
  [[ $USERS =~ ^[A-Za-z0-9\ ._-]*$ ]] || fail "KAFKA_USERS: expected names (letters, digits, . _ -), found $USERS"
  [[ -z $SECURITY ]] || secure "$1"
  [[ -f $1/cluster-id ]] || head -c 16 /dev/urandom | base64 | tr '+/' 'AA' | cut -c -22 >"$1/cluster-id"
  echo "$2" >"$1/nodes"
  for ((node = 0; node < $2; node++)); do
    mkdir -p "$1/node-$node"
    properties "$1" "$2" "$node" >"$1/node-$node/server.properties"
    format "$1" "$node" &
    pids+=($!)
  done
  for pid in "${pids[@]}"; do wait "$pid" || fail "could not format the storage in $1 (above)"; done
}

properties() { # DIR NODES NODE
  local i user logins voters="" listeners advertised text replicas=$(($2 < 3 ? $2 : 3))
  for ((i = 0; i < $2; i++)); do voters+=",$i@localhost:$((CONTROLLER_PORT + i))"; done
  listeners="PLAINTEXT://localhost:$((PORT + $3)),CONTROLLER://localhost:$((CONTROLLER_PORT + $3))"
  advertised=PLAINTEXT://localhost:$((PORT + $3))
  text=$(cat "$HERE/server.properties")
  if [[ -n $PROXIED_PORT ]]; then
    listeners+=",PROXIED://localhost:$((PROXIED_PORT + $3))"
    advertised+=",PROXIED://localhost:$((PROXY_PORT + $3))"
  fi
  if [[ -n $SECURITY ]]; then
    listeners+=",SECURE://localhost:$((SECURE_PORT + $3))"
    advertised+=",SECURE://localhost:$((SECURE_PORT + $3))"
    text+=$'\n\n'$(cat "$HERE/secure.properties")
  fi
  [[ -z $USERS ]] || text+=$'\n\n'$(cat "$HERE/authorizer.properties")
  for user in $USER_NAME $USERS; do logins+=" user_$user=\"$PASSWORD\""; done
  text=${text//@NODE@/$3}
  text=${text//@VOTERS@/${voters:1}}
  text=${text//@LISTENERS@/$listeners}
  text=${text//@ADVERTISED@/$advertised}
  text=${text//@FOLDER@/"$1/node-$3"}
  text=${text//@REPLICAS@/$replicas}
  text=${text//@IN_SYNC@/$((replicas == 3 ? 2 : 1))}
  text=${text//@TLS@/"$1/tls"}
  text=${text//@USER@/$USER_NAME}
  text=${text//@LOGINS@/"${logins:1}"}
  echo "${text//@PASSWORD@/$PASSWORD}"
}

format() { # DIR NODE
  local folder=$1/node-$2 scram=() bits
  [[ ! -f $folder/data/meta.properties ]] || return 0
  if [[ -n $SECURITY ]]; then
    for bits in 256 512; do scram+=(--add-scram "SCRAM-SHA-$bits=[name=$USER_NAME,password=$PASSWORD]"); done
  fi
  (run_java error kafka.tools.StorageTool format --cluster-id "$(cat "$1/cluster-id")" \
    --config "$folder/server.properties" ${scram[@]+"${scram[@]}"}) >"$folder/format.log" 2>&1 || {
    tail -n 5 "$folder/format.log" >&2
    return 1
  }
}

secure() { # DIR: the password is a good one, and there are certificates
  local tls=$1/tls
  [[ $PASSWORD =~ ^[A-Za-z0-9._-]+$ ]] || fail "KAFKA_SECURITY needs KAFKA_PASSWORD (letters, digits, . _ -)"
  [[ ! -f $tls/broker.pem ]] || return 0
  [[ ! -f $1/nodes ]] || fail "$1 was made without KAFKA_SECURITY: stop it and remove the folder"
  command -v openssl >/dev/null || fail "KAFKA_SECURITY needs openssl on the PATH, to make certificates"
  mkdir -p "$tls"
  new_key "$tls/ca.key"
  openssl req -x509 -new -key "$tls/ca.key" -days 3650 -subj "/CN=Seedstream development CA" \
    -addext "keyUsage=critical,keyCertSign,cRLSign" -out "$tls/ca.pem"
  certify "$tls" server serverAuth
  certify "$tls" client clientAuth
  cat "$tls/server.key" "$tls/server.pem" >"$tls/broker.pem"
}

certify() { # TLS NAME USAGE: a key and a certificate by our own authority
  local file=$1/$2
  new_key "$file.key"
  openssl req -new -key "$file.key" -subj "/CN=seedstream $2" -out "$file.csr"
  printf '%s\n' "subjectAltName=DNS:localhost,IP:127.0.0.1" "keyUsage=critical,digitalSignature" "extendedKeyUsage=$3" \
    "subjectKeyIdentifier=hash" "authorityKeyIdentifier=keyid" >"$file.ext"
  openssl x509 -req -in "$file.csr" -CA "$1/ca.pem" -CAkey "$1/ca.key" -CAcreateserial -days 3650 \
    -extfile "$file.ext" -out "$file.pem" 2>/dev/null
  rm "$file.csr" "$file.ext"
}

new_key() { # FILE
  openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:P-256 -out "$1"
}

# Processes

launch() { # FOLDER…: start the nodes that do not run, and wait until all know of each other
  local folder other deadline=$((SECONDS + START_S))
  for folder; do runs "$folder" || spawn "$folder"; done
  for folder; do
    for other; do await "$folder" "$other" $deadline; done
  done
}

spawn() { # FOLDER
  [[ ! -f $1/kafka.log ]] || mv "$1/kafka.log" "$1/kafka.log.before"
  ( # a process group of its own: neither Ctrl-C here nor the end of this terminal ends it
    set -m
    trap '' HUP
    run_java info kafka.Kafka "$1/server.properties" </dev/null >"$1/kafka.log" 2>&1 &
    echo $! >"$1/pid"
  )
}

await() { # FOLDER OTHER DEADLINE
  until knows "$1" "$2" 2>/dev/null; do
    if ! runs "$1" || [[ $SECONDS -ge $3 ]]; then
      tail -n 10 "$1/kafka.log" >&2
      grep -E " ERROR |^Caused by" "$1/kafka.log" | tail -n 10 >&2 || true
      fail "the broker did not come up: $1/kafka.log (above)"
    fi
    sleep 0.1
  done
}

knows() ( # FOLDER OTHER: whether a broker's answer to a metadata request (version 1, no topics) has the other's address
  other=$(printf localhost | od -An -tx1)$(printf %08x "$(port_of "$2")")
  exec 3<>"/dev/tcp/localhost/$(port_of "$1")"
  printf '\0\0\0\016\0\003\0\001\0\0\0\0\377\377\0\0\0\0' >&3
  size=$((16#$(timeout 2 head -c 4 <&3 | od -An -tx1 | tr -d ' \n')))
  answer=$(timeout 2 head -c "$size" <&3 | od -An -v -tx1 | tr -d ' \n')
  [[ $answer == *${other// /}* ]]
)

port_of() { # FOLDER
  sed -nE 's|^listeners=PLAINTEXT://localhost:([0-9]+).*|\1|p' "$1/server.properties"
}

end() { # FOLDER…
  local folder deadline=$((SECONDS + STOP_S))
  for folder; do signal "$folder" TERM && signal "$folder" CONT || true; done
  for folder; do
    while runs "$folder"; do
      [[ $SECONDS -lt $deadline ]] || signal "$folder" KILL || true
      sleep 0.1
    done
    rm -f "$folder/pid"
  done
}

signal() { # FOLDER SIGNAL
  runs "$1" && kill "-$2" "$(cat "$1/pid")" 2>/dev/null
}

runs() { # FOLDER: the process id may be another's by now
  [[ -f $1/pid && $(ps -ww -o args= -p "$(cat "$1/pid")" 2>/dev/null) == *"$1/server.properties"* ]]
}

main "$@"
