#!/usr/bin/env bash
# More than fifty commands as an ops script mixes them. Stops at the first that fails or says something else than etcdctl does.
# $1: the etcdctl to use; $2: the endpoint of a fresh member without other users.
set -euo pipefail
export ETCDCTL_ENDPOINTS=$2
ctl() { "$ctl_program" "$@"; }
ctl_program=$1
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
said() { [ "$1" = "$2" ] || { printf 'line %s: expected\n%s\nbut saw\n%s\n' "${BASH_LINENO[0]}" "$2" "$1" >&2; exit 1; }; }
refused() { if "$@" >"$work/out" 2>&1; then echo "line ${BASH_LINENO[0]}: not refused: $*" >&2; exit 1; fi; }

# Keys.
said "$(ctl put a 1)" OK
said "$(ctl put a 2 --prev-kv)" $'OK\na\n1'
said "$(printf 'from a pipe' | ctl put b)" OK
said "$(ctl get a)" $'a\n2'
said "$(ctl get b --print-value-only)" 'from a pipe'
ctl put c 3 >/dev/null
ctl put d 4 >/dev/null
said "$(ctl get a d --keys-only | grep -c .)" 3
said "$(ctl get '' --prefix --count-only --write-out=fields | grep Count)" '"Count" : 4'
said "$(ctl get a --from-key --limit 2 --order DESCEND --sort-by KEY --print-value-only)" $'4\n3'
said "$(ctl get none)" ''
said "$(ctl get a --hex)" $'\\x61\n\\x32'
ctl get a -w json | grep '"value":"Mg=="' >/dev/null
first=$(ctl get a -w json | sed 's/.*"create_revision":\([0-9]*\).*/\1/')
said "$(ctl get a --rev "$first" --print-value-only)" 1
said "$(ctl put a kept --ignore-lease)" OK
said "$(ctl put a --ignore-value)" OK
said "$(ctl get a --print-value-only)" kept
refused ctl put none x --ignore-lease
refused ctl get a --rev 999999
said "$(ctl del d)" 1
said "$(ctl del d)" 0
said "$(ctl del c --prev-kv)" $'1\nc\n3'

# Transactions.
said "$(printf 'value("a") = "kept"\n\nput a swapped\n\nget a\n\n' | ctl txn | head -n 1)" SUCCESS
said "$(printf 'version("a") > "100"\n\nput a no\n\nget a\n\n' | ctl txn | head -n 1)" FAILURE
said "$(ctl get a --print-value-only)" swapped

# Watch: history and what comes.
"$ctl_program" watch a --rev "$first" >"$work/history" &
watcher=$!
for _ in $(seq 300); do [ "$(wc -l <"$work/history")" -ge 15 ] && break; sleep 0.1; done
kill "$watcher"
wait "$watcher" 2>/dev/null || true
said "$(head -n 6 "$work/history" | tr '\n' ' ')" 'PUT a 1 PUT a 2 '
"$ctl_program" watch live/ --prefix >"$work/watched" &
watcher=$!
for _ in $(seq 300); do ctl put live/x y >/dev/null; grep -q live/x "$work/watched" && break; done
kill "$watcher"
wait "$watcher" 2>/dev/null || true
grep -q '^live/x$' "$work/watched"

# Leases.
lease=$(ctl lease grant 600 | awk '{ print $2 }')
said "$(ctl put leased yes --lease "$lease")" OK
ctl lease timetolive "$lease" --keys | grep 'attached keys(\[leased\])' >/dev/null
ctl lease list | grep "$lease" >/dev/null
ctl lease keep-alive "$lease" --once | grep 'keepalived with TTL(600)' >/dev/null
said "$(ctl lease revoke "$lease")" "lease $lease revoked"
said "$(ctl get leased)" ''
refused ctl lease revoke "$lease"

# Lock and election.
said "$(ctl lock mutex -- echo held)" held
said "$(ctl lock mutex --ttl 5 -- sh -c 'exit 0')" ''
"$ctl_program" elect leader me >"$work/elected" &
elected=$!
for _ in $(seq 300); do grep -q me "$work/elected" && break; sleep 0.1; done
said "$(tail -n 1 "$work/elected")" me
kill "$elected"
wait "$elected" 2>/dev/null || true

# Maintenance.
ctl endpoint health 2>&1 | grep 'is healthy' >/dev/null
ctl endpoint status -w json | grep '"version"' >/dev/null
ctl endpoint hashkv | grep ", " >/dev/null
ctl member list | grep ', started, ' >/dev/null
revision=$(ctl get a -w json | sed 's/.*"revision":\([0-9]*\).*/\1/')
said "$(ctl compaction "$revision")" "compacted revision $revision"
refused ctl compaction "$revision"
refused ctl get a --rev 1
ctl defrag | grep 'Finished defragmenting' >/dev/null
said "$(ctl alarm list)" ''
said "$(ctl alarm disarm)" ''
ctl snapshot save "$work/s.db" >/dev/null 2>&1
test -s "$work/s.db"
refused ctl move-leader 1
ctl version | grep '^etcdctl version: 3' >/dev/null

# Users, roles, and what they may.
said "$(ctl role add reader)" 'Role reader created'
said "$(ctl role grant-permission reader read a)" 'Role reader updated'
said "$(ctl user add root:pw)" 'User root created'
said "$(printf 'pw\n' | ctl user add someone --interactive=false)" 'User someone created'
said "$(ctl user grant-role root root)" 'Role root is granted to user root'
said "$(ctl user grant-role someone reader)" 'Role reader is granted to user someone'
said "$(ctl auth enable)" 'Authentication Enabled'
refused ctl get a
said "$(ctl --user someone:pw get a --print-value-only)" swapped
refused ctl --user someone:pw put a no
refused ctl --user someone:wrong get a
said "$(ctl --user root:pw role list)" reader
said "$(ctl --user root --password pw user get someone | tail -n 1)" 'Roles: reader'
said "$(printf 'new\n' | ctl --user root:pw user passwd someone --interactive=false)" 'Password updated'
said "$(ctl --user someone:new get a --print-value-only)" swapped
said "$(ctl --user root:pw role revoke-permission reader a)" 'Permission of key a is revoked from role reader'
said "$(ctl --user root:pw user revoke-role someone reader)" 'Role reader is revoked from user someone'
said "$(ctl --user root:pw user delete someone)" 'User someone deleted'
said "$(ctl --user root:pw role delete reader)" 'Role reader deleted'
said "$(ctl --user root:pw auth disable)" 'Authentication Disabled'
said "$(ctl user delete root)" 'User root deleted'

# Nothing stays.
ctl del '' --prefix >/dev/null
said "$(ctl get '' --prefix --keys-only)" ''
echo 'all said what etcdctl says'
