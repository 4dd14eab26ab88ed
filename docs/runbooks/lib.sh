# Shared by the rehearsals beside it: members on free ports of this machine, in a folder that goes away at the end.
# They use the programs `etcd`, `etcdctl` and `etcdutl` of the PATH, whichever those are.
# shellcheck shell=bash disable=SC2034
set -euo pipefail

work=$(mktemp -d "${TMPDIR:-/tmp}/runbook.XXXXXX")
server=(etcd)
scheme=http
# Flags that every member gets.
common=()
declare -A client peer pid

finish() {
  local status=$?
  trap - EXIT
  if [ "$status" -ne 0 ]; then
    for log in "$work"/*.log; do [ -f "$log" ] && { echo "--- $log"; tail -n 15 "$log"; }; done >&2
  fi
  # Members, and whatever else the script left in the background.
  local job
  for job in $(jobs -p); do
    disown "$job" 2>/dev/null || true
    kill -KILL "$job" 2>/dev/null || true
  done
  rm -rf "$work"
  exit "$status"
}
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step() { printf '\n== %s\n' "$*"; }

fail() {
  echo "$*" >&2
  exit 1
}

# A port that nobody listens on, below those that the system gives to outgoing connections.
free_port() {
  local p
  while :; do
    p=$((10000 + RANDOM % 20000))
    (exec 3<>"/dev/tcp/127.0.0.1/$p") 2>/dev/null || break
  done
  echo "$p"
}

# place NAME…: gives each its URLs.
place() {
  local name
  for name in "$@"; do
    client[$name]=$scheme://127.0.0.1:$(free_port)
    peer[$name]=$scheme://127.0.0.1:$(free_port)
  done
}

# cluster NAME…: the value of --initial-cluster for these members.
cluster() {
  local name list=()
  for name in "$@"; do list+=("$name=${peer[$name]}"); done
  (
    IFS=,
    echo "${list[*]}"
  )
}

# endpoints NAME…: their client URLs, for etcdctl.
endpoints() {
  local name list=()
  for name in "$@"; do list+=("${client[$name]}"); done
  (
    IFS=,
    echo "${list[*]}"
  )
}

# start NAME [FLAG…]: a member in the background; its log is $work/NAME.log.
start() {
  local name=$1
  shift
  "${server[@]}" --name "$name" --data-dir "$work/$name" \
    --listen-client-urls "${client[$name]}" --advertise-client-urls "${client[$name]}" \
    --listen-peer-urls "${peer[$name]}" --initial-advertise-peer-urls "${peer[$name]}" \
    ${common[@]+"${common[@]}"} "$@" >>"$work/$name.log" 2>&1 &
  pid[$name]=$!
}

# start_all NAME…: a new cluster of these members, and waits until it serves.
start_all() {
  local name
  for name in "$@"; do start "$name" --initial-cluster "$(cluster "$@")" --initial-cluster-token "${token:-rehearsal}"; done
  export ETCDCTL_ENDPOINTS
  ETCDCTL_ENDPOINTS=$(endpoints "$@")
  for name in "$@"; do healthy "$name"; done
}

# stop NAME [SIGNAL]: ends a member and waits for its end.
stop() {
  kill "-${2:-TERM}" "${pid[$1]}"
  wait "${pid[$1]}" 2>/dev/null || true
  unset "pid[$1]"
}

# at NAME COMMAND…: the command talks to this member alone. (etcdctl refuses --endpoints beside ETCDCTL_ENDPOINTS.)
at() {
  local name=$1
  shift
  ETCDCTL_ENDPOINTS=${client[$name]} "$@"
}

# retry WHAT COMMAND…: until the command succeeds, a minute at most.
retry() {
  local what=$1 end=$((SECONDS + 60))
  shift
  until "$@" >/dev/null 2>&1; do
    [ "$SECONDS" -lt "$end" ] || fail "waited a minute for $what"
    sleep 0.2
  done
}

# healthy NAME: waits until the member answers and knows a leader.
healthy() { retry "$1 to be healthy" at "$1" etcdctl endpoint health; }

# id_of NAME: the member id in hex, as `etcdctl member` wants it.
id_of() { etcdctl member list | awk -F ', ' -v name="$1" '$3 == name { print $1 }'; }

# leader: the name of the member that leads.
leader() {
  local name
  for name in "$@"; do
    if at "$name" etcdctl endpoint status | awk -F ', ' '{ exit $9 != "true" }'; then
      echo "$name"
      return
    fi
  done
  return 1
}

# want KEY VALUE [FLAG…]: the key has that value.
want() {
  local key=$1 value=$2 seen
  shift 2
  seen=$(etcdctl get "$key" --print-value-only "$@")
  [ "$seen" = "$value" ] || fail "$key is '$seen' instead of '$value'"
}
