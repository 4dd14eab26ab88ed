#!/usr/bin/env bash
# Rehearses replace-a-dead-member.md: one of three loses its disk; a new one takes its place as a learner first.
. "$(dirname "$0")/lib.sh"

step 'a cluster with data'
place a b c d
start_all a b c
for i in $(seq 20); do etcdctl put "config/$i" "value $i" >/dev/null; done

step 'b dies with its disk'
stop b KILL
rm -rf "${work:?}/b"
export ETCDCTL_ENDPOINTS
ETCDCTL_ENDPOINTS=$(endpoints a c)
retry 'the rest to serve' etcdctl put while/down yes

step 'remove the dead member first, then add the new one'
dead=$(id_of b)
etcdctl member remove "$dead"
retry "a cluster that takes d" etcdctl member add d --learner --peer-urls "${peer[d]}"
start d --initial-cluster-state existing --initial-cluster "$(cluster a c d)"

step 'promote it when it has caught up'
id=$(etcdctl member list | awk -F ', ' -v url="${peer[d]}" '$4 == url { print $1 }')
retry 'd to be in sync' etcdctl member promote "$id"
healthy d

step 'check'
etcdctl member list -w table
[ "$(etcdctl member list | grep -c ', started, ')" = 3 ] || fail 'not three members'
at d want while/down yes --consistency s
at d want config/20 'value 20'
echo 'replaced'
