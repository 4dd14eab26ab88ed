#!/usr/bin/env bash
# Rehearses quorum-loss.md: two of three are gone for ever; the survivor becomes a cluster of one, then grows again.
. "$(dirname "$0")/lib.sh"

step 'a cluster with data'
place a b c d e
start_all a b c
for i in $(seq 20); do etcdctl put "config/$i" "value $i" >/dev/null; done

step 'two members are lost with their disks'
stop b KILL
stop c KILL
rm -rf "${work:?}/b" "${work:?}/c"
ETCDCTL_ENDPOINTS=$(endpoints a)
if etcdctl put x y --command-timeout 2s 2>"$work/refusal"; then fail 'a write without quorum'; fi
tail -n 1 "$work/refusal"
want config/20 'value 20' --consistency s

step 'the survivor forgets the others'
stop a
cp -r "$work/a" "$work/a.before"
start a --force-new-cluster --initial-cluster "$(cluster a)"
healthy a
etcdctl member list -w table
want config/20 'value 20'
# Once is enough: with the flag still there the next start would throw away members that were added since.
stop a
start a
healthy a

step 'grow again'
add() {
  local name=$1 id
  shift
  # Refused as "unhealthy cluster" until all members have known each other for five seconds.
  retry "a cluster that takes $name" etcdctl member add "$name" --learner --peer-urls "${peer[$name]}"
  start "$name" --initial-cluster-state existing --initial-cluster "$(cluster "$@" "$name")"
  id=$(etcdctl member list | awk -F ', ' -v url="${peer[$name]}" '$4 == url { print $1 }')
  retry "$name to be in sync" etcdctl member promote "$id"
  ETCDCTL_ENDPOINTS=$(endpoints "$@" "$name")
  healthy "$name"
}
add d a
add e a d

step 'check'
[ "$(etcdctl member list | grep -c ', started, ')" = 3 ] || fail 'not three members'
etcdctl put after/loss yes
for name in a d e; do at "$name" want config/20 'value 20'; done
echo 'recovered'
