"""Drives a member's JSON gateway through PyPI's etcd3gw: one line for each check."""
import sys
import threading
import time

import etcd3gw
from etcd3gw import exceptions

host, port = sys.argv[1].split(":")
c = etcd3gw.client(host=host, port=int(port), timeout=30)


def kv():
    assert c.put("w/a", "1") is True
    assert c.get("w/a") == [b"1"] and c.get("w/none") == []
    value, meta = c.get("w/a", metadata=True)[0]
    assert value == b"1" and meta["key"] == b"w/a" and meta["version"] == "1", meta
    assert c.create("w/a", "2") is False and c.create("w/new", "2") is True
    assert c.replace("w/a", "1", "3") is True and c.replace("w/a", "1", "4") is False
    assert c.delete("w/a") is True and c.delete("w/a") is False


def binary():
    key = b"w/\x00\xff"
    assert c.put(key, bytes(range(256)))
    assert c.get(key) == [bytes(range(256))]


def ranges():
    for i in range(20):
        c.put("w/r/%02d" % i, str(i))
    found = c.get_prefix("w/r/", sort_order="descend", sort_target="key")
    assert len(found) == 20 and found[0][1]["key"] == b"w/r/19", found
    assert len(c.get("w/r/05", range_end="w/r/10", keys_only=True)) == 5
    assert len(c.get_all()) >= 20
    assert c.delete_prefix("w/r/") is True and c.get_prefix("w/r/") == []


def watch():
    events, cancel = c.watch_prefix("w/w/")
    time.sleep(0.3)
    for i in range(100):
        c.put("w/w/a", str(i))
    c.delete("w/w/a")
    seen = [next(events) for _ in range(101)]
    cancel()
    assert [e["kv"].get("value") for e in seen[:100]] == [b"%d" % i for i in range(100)], seen
    assert seen[100]["type"] == "DELETE", seen[100]


def watch_in_a_burst():
    """The package reads one result from each HTTP chunk: two in one would be lost."""
    events, cancel = c.watch_prefix("w/b/")
    time.sleep(0.3)
    threads = [threading.Thread(target=lambda t=t: [c.put("w/b/%d" % t, str(i)) for i in range(50)]) for t in range(8)]
    [t.start() for t in threads]
    seen = {}
    for _ in range(400):
        kv = next(events)["kv"]
        key, value = kv["key"], int(kv["value"])
        assert value == seen.get(key, -1) + 1, (key, value)
        seen[key] = value
    [t.join() for t in threads]
    cancel()


def lease():
    lease = c.lease(60)
    c.put("w/l", "x", lease=lease)
    assert lease.ttl() in (59, 60) and lease.refresh() == 60
    assert lease.keys() == [b"w/l"]
    assert lease.revoke() is True and c.get("w/l") == []


def lock():
    one = c.lock("w-lock", ttl=60)
    assert one.acquire() is True and one.is_acquired()
    assert c.lock("w-lock", ttl=60).acquire() is False
    assert one.refresh() == 60 and one.release() is True
    with c.lock("w-lock", ttl=60) as two:
        assert two.is_acquired()


def rest():
    assert c.status()["version"] == "3.7.1"
    assert len(c.members()) == 1
    try:
        c.put("", "x")
    except exceptions.Etcd3Exception as error:
        assert "key is not provided" in error.detail_text, error.detail_text
    else:
        raise AssertionError("empty key accepted")


failed = 0
for check in (kv, binary, ranges, watch, watch_in_a_burst, lease, lock, rest):
    try:
        check()
        print("ok", check.__name__, flush=True)
    except Exception as error:
        failed += 1
        print("fail", check.__name__, repr(error), flush=True)
sys.exit(1 if failed else 0)
