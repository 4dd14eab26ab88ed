#!/usr/bin/env bash
# Rehearses upgrade.md: members change their program one at a time, the leader last, while a client writes.
# NEW names the new program (default: the same one, i.e. a rolling restart).
. "$(dirname "$0")/lib.sh"

step 'a cluster with the old program, and a client that writes'
place a b c
start_all a b c
(
  i=0
  while [ ! -e "$work/enough" ]; do
    i=$((i + 1))
    if etcdctl put writer "$i" --command-timeout 30s >/dev/null 2>&1; then echo "$i" >"$work/acknowledged"; fi
    sleep 0.1
  done
) &
writer=$!

step 'before: a backup, and everyone healthy'
at a etcdctl snapshot save "$work/before.db"
etcdctl endpoint health
old=$(etcdctl endpoint status | awk -F ', ' 'NR == 1 { print $3 }')

step 'one member at a time, the leader last'
first=$(leader a b c)
order=()
for name in a b c; do [ "$name" = "$first" ] || order+=("$name"); done
read -ra server <<<"${NEW:-etcd}"
for name in "${order[@]}" "$first"; do
  echo "$name"
  if [ "$(leader a b c)" = "$name" ]; then
    at "$name" etcdctl move-leader "$(id_of "${order[0]}")"
  fi
  stop "$name"
  start "$name" --initial-cluster "$(cluster a b c)" --initial-cluster-token rehearsal
  healthy "$name"
done

step 'check'
touch "$work/enough"
wait "$writer"
acknowledged=$(cat "$work/acknowledged")
now=$(etcdctl get writer --print-value-only)
[ "$now" -ge "$acknowledged" ] || fail "$acknowledged was acknowledged, $now is there"
etcdctl endpoint status -w table
echo "upgraded from $old to $(etcdctl endpoint status | awk -F ', ' 'NR == 1 { print $3 }')"
