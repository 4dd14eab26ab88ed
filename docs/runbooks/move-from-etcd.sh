#!/usr/bin/env bash
# Rehearses move-from-etcd.md: a cluster of etcd members becomes one of tsetcd members, one at a time, and one member goes back again.
# OLD is the folder of etcd's programs; `tsetcd` is in the PATH.
. "$(dirname "$0")/lib.sh"
: "${OLD:?the folder of the etcd programs}"

step 'three members of etcd, with users, leases and history'
place a b c
server=("$OLD/etcd")
start_all a b c
for i in $(seq 20); do etcdctl put config/x "value $i" >/dev/null; done
etcdctl user add root:secret >/dev/null
etcdctl user grant-role root root >/dev/null
lease=$(etcdctl lease grant 3600 | awk '{ print $2 }')
etcdctl put leased yes --lease "$lease" >/dev/null
revision=$(etcdctl get config/x -w json | grep -o '"revision":[0-9]*' | grep -o '[0-9]*$')
at a etcdctl snapshot save "$work/before.db"
same_hash() { [ "$(etcdctl endpoint hashkv -w json --rev "$revision" | grep -o '"hash":[0-9]*' | sort -u | wc -l)" = 1 ]; }

step 'one member at a time: stop, convert its folder, start tsetcd with the same flags'
server=(tsetcd server)
for name in c b a; do
  echo "$name"
  stop "$name"
  tsetcd util migrate-from-etcd --data-dir "$work/$name" --to "$work/$name.new"
  mv "$work/$name" "$work/$name.etcd"
  mv "$work/$name.new" "$work/$name"
  start "$name" --initial-cluster "$(cluster a b c)" --initial-cluster-token rehearsal
  healthy "$name"
  etcdctl put "moved/$name" yes >/dev/null
  retry 'members to agree' same_hash
done

step 'check'
etcdctl member list -w table
want config/x 'value 20'
want config/x 'value 1' --rev "$((revision - 20))"
etcdctl lease timetolive "$lease" --keys | grep leased >/dev/null || fail 'the lease is lost'
etcdctl user list | grep -x root >/dev/null || fail 'the user is lost'
for name in a b c; do at "$name" want "moved/$name" yes; done

step 'the way back, for one member'
stop c
tsetcd util migrate-to-etcd --data-dir "$work/c" --to "$work/c.back"
mv "$work/c" "$work/c.tsetcd"
mv "$work/c.back" "$work/c"
server=("$OLD/etcd")
start c --initial-cluster "$(cluster a b c)" --initial-cluster-token rehearsal
healthy c
retry 'members to agree' same_hash
at c want moved/a yes --consistency s
echo 'moved'
