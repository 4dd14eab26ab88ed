#!/usr/bin/env bash
# Rehearses backup-and-restore.md: a snapshot of three members, all of them lost, three new ones from the snapshot.
. "$(dirname "$0")/lib.sh"

step 'a cluster with data'
place a b c
start_all a b c
for i in $(seq 20); do etcdctl put "config/$i" "value $i" >/dev/null; done
revision=$(etcdctl get config/20 -w json | sed 's/.*"revision":\([0-9]*\).*/\1/')

step 'back up'
at a etcdctl snapshot save "$work/backup.db"
etcdutl snapshot status "$work/backup.db" -w table
etcdctl put after/backup lost >/dev/null

step 'a damaged backup is refused'
head -c -100 "$work/backup.db" >"$work/short.db"
if etcdutl snapshot restore "$work/short.db" --data-dir "$work/never" 2>"$work/refusal"; then fail 'a short file was restored'; fi
tail -n 1 "$work/refusal"

step 'everything is lost'
for name in a b c; do
  stop "$name" KILL
  rm -rf "${work:?}/$name"
done

step 'restore on every member, from the same file'
for name in a b c; do
  etcdutl snapshot restore "$work/backup.db" --name "$name" --data-dir "$work/$name" \
    --initial-cluster "$(cluster a b c)" --initial-cluster-token restored --initial-advertise-peer-urls "${peer[$name]}" \
    --bump-revision 1000000000 --mark-compacted
done
token=restored
start_all a b c

step 'check'
want config/1 'value 1'
want config/20 'value 20'
want after/backup ''
now=$(etcdctl put config/21 'value 21' -w json | sed 's/.*"revision":\([0-9]*\).*/\1/')
[ "$now" -gt "$((revision + 1000000000))" ] || fail "revision $now after $revision: clients that cache would miss changes"
[ "$(etcdctl endpoint hashkv --cluster -w json | grep -o '"hash":[0-9]*' | sort -u | wc -l)" = 1 ] || fail 'members differ'
echo 'restored'
