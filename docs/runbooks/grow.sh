#!/usr/bin/env bash
# Rehearses grow.md: one member becomes three, three become five, while clients write.
. "$(dirname "$0")/lib.sh"

step 'one member'
place a b c d e
start_all a
for i in $(seq 20); do etcdctl put "config/$i" "value $i" >/dev/null; done

# add NAME MEMBER…: one more beside the members that are there.
add() {
  local name=$1 id
  shift
  step "add $name"
  # Refused as "unhealthy cluster" until all members have known each other for five seconds.
  retry "a cluster that takes $name" etcdctl member add "$name" --learner --peer-urls "${peer[$name]}"
  start "$name" --initial-cluster-state existing --initial-cluster "$(cluster "$@" "$name")"
  id=$(etcdctl member list | awk -F ', ' -v url="${peer[$name]}" '$4 == url { print $1 }')
  retry "$name to be in sync" etcdctl member promote "$id"
  ETCDCTL_ENDPOINTS=$(endpoints "$@" "$name")
  healthy "$name"
  etcdctl put "grown/$name" yes >/dev/null
}
add b a
add c a b
add d a b c
add e a b c d

step 'check: five members, and any two may fail'
etcdctl member list -w table
[ "$(etcdctl member list | grep -c ', started, ')" = 5 ] || fail 'not five members'
stop a KILL
stop d KILL
ETCDCTL_ENDPOINTS=$(endpoints b c e)
retry 'the other three to serve' etcdctl put after/loss yes
want config/20 'value 20'
want grown/e yes
echo 'grown'
