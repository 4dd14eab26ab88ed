#!/usr/bin/env bash
# Rehearses nospace.md: a member that has reached its quota comes back.
. "$(dirname "$0")/lib.sh"

step 'a member with a small quota, filled'
place a
common=(--quota-backend-bytes 16777216)
start_all a
head -c 700000 /dev/zero | tr '\0' x >"$work/value"
for _ in $(seq 60); do
  etcdctl put big <"$work/value" >/dev/null 2>"$work/refusal" || break
done
grep 'database space exceeded' "$work/refusal"

step 'look'
etcdctl alarm list
etcdctl alarm list | grep 'alarm:NOSPACE' >/dev/null || fail 'no alarm'
etcdctl endpoint status -w table

step 'compact away the history, give the space back, disarm'
revision=$(etcdctl endpoint status -w json | grep -o '"revision":[0-9]*' | grep -o '[0-9]*$')
etcdctl compaction "$revision" --physical
etcdctl defrag
etcdctl alarm disarm

step 'check'
etcdctl put small value
want small value
[ -z "$(etcdctl alarm list)" ] || fail 'the alarm stays'
etcdctl endpoint status -w table
echo 'writable again'
