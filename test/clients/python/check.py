"""Drives a member through PyPI's etcd3: one line for each check."""
import sys
import threading
import time

import etcd3

host, port = sys.argv[1].split(":")
c = etcd3.client(host=host, port=int(port), timeout=10)


def kv():
    c.put("p/a", "1")
    value, meta = c.get("p/a")
    assert value == b"1" and meta.version == 1, (value, meta)
    assert c.get("p/none") == (None, None)
    assert c.delete("p/a") is True and c.delete("p/a") is False


def ranges():
    for i in range(20):
        c.put("p/r/%02d" % i, str(i))
    keys = [m.key for _, m in c.get_prefix("p/r/", sort_order="descend", sort_target="key")]
    assert len(keys) == 20 and keys[0] == b"p/r/19", keys
    assert len(list(c.get_range("p/r/05", "p/r/10"))) == 5


def txn():
    t = c.transactions
    ok, _ = c.transaction(compare=[t.create("p/t") == 0], success=[t.put("p/t", "x")], failure=[])
    assert ok
    ok, r = c.transaction(compare=[t.value("p/t") == "y"], success=[], failure=[t.get("p/t")])
    assert not ok and r[0][0][0] == b"x", r
    assert c.replace("p/t", "x", "z") and not c.replace("p/t", "x", "z")


def watch():
    events, cancel = c.watch_prefix("p/w/")
    for i in range(5):
        c.put("p/w/a", str(i))
    c.delete("p/w/a")
    seen = [next(events) for _ in range(6)]
    cancel()
    assert [e.value for e in seen[:5]] == [b"0", b"1", b"2", b"3", b"4"], seen
    assert isinstance(seen[5], etcd3.events.DeleteEvent)


def lease():
    lease = c.lease(2)
    c.put("p/l", "x", lease=lease)
    assert c.get_lease_info(lease.id).grantedTTL == 2
    for _ in range(3):
        time.sleep(1)
        lease.refresh()
    assert c.get("p/l")[0] == b"x"
    deadline = time.time() + 15
    while c.get("p/l")[0] is not None and time.time() < deadline:
        time.sleep(0.2)
    assert c.get("p/l")[0] is None


def lock():
    order = []

    def work(n):
        with c.lock("p-lock", ttl=20):
            order.append(n)
            time.sleep(0.05)
            order.append(n)

    threads = [threading.Thread(target=work, args=(i,)) for i in range(3)]
    [t.start() for t in threads]
    [t.join() for t in threads]
    assert len(order) == 6 and all(order[i] == order[i + 1] for i in (0, 2, 4)), order


def members():
    assert [m.name for m in c.members] and c.status().version == "3.7.1"


def wrong():
    try:
        c.put("", "x")
    except Exception as error:  # the package maps only some codes
        assert "key is not provided" in str(error) or isinstance(error, etcd3.exceptions.PreconditionFailedError), repr(error)
    else:
        raise AssertionError("empty key accepted")


failed = 0
for check in (kv, ranges, txn, watch, lease, lock, members, wrong):
    try:
        check()
        print("ok", check.__name__)
    except Exception as error:
        failed += 1
        print("fail", check.__name__, repr(error))
c.close()
sys.exit(1 if failed else 0)
