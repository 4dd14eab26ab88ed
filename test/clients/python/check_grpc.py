"""Drives a member through grpc-core (PyPI's grpcio) and the stubs of PyPI's etcd3: one line for each check.

Prints "restart" when the member is to be ended in good order and started again under load, and waits for a line on standard input.
"""
import queue
import sys
import threading
import time

import grpc
from etcd3.etcdrpc import rpc_pb2 as pb
from etcd3.etcdrpc import rpc_pb2_grpc as stubs

LARGE = 1_000_000
endpoint = sys.argv[1]
options = [("grpc.max_receive_message_length", 64 << 20), ("grpc.max_metadata_size", 64 << 10)]
channel = grpc.insecure_channel(endpoint, options)
kv = stubs.KVStub(channel)
leases = stubs.LeaseStub(channel)
lock = channel.unary_unary("/v3lockpb.Lock/Lock", request_serializer=lambda b: b, response_deserializer=lambda b: b)


def put(key, value="x", **kw):
    return kv.Put(pb.PutRequest(key=key.encode(), value=value.encode()), **kw)


def prefix(key):
    raw = key.encode()
    return pb.RangeRequest(key=raw, range_end=raw[:-1] + bytes([raw[-1] + 1]))


def get(key, **kw):
    return kv.Range(pb.RangeRequest(key=key.encode()), **kw)


def refused(call, words=""):
    try:
        call()
    except grpc.RpcError as error:
        assert words in error.details(), error
        return error
    raise AssertionError("not refused")


def until(what, probe):
    end = time.time() + 30
    while not probe():
        assert time.time() < end, what
        time.sleep(0.02)


class Requests:
    """The requests of a stream, given one after the other."""

    def __init__(self):
        self.queue = queue.Queue()

    def send(self, message):
        self.queue.put(message)

    def end(self):
        self.queue.put(None)

    def __iter__(self):
        return self

    def __next__(self):
        message = self.queue.get()
        if message is None:
            raise StopIteration
        return message


def create(key, **kw):
    return pb.WatchRequest(create_request=pb.WatchCreateRequest(key=key.encode(), **kw))


def unary():
    put("c/a", "1")
    r = get("c/a")
    assert r.count == 1 and r.kvs[0].value == b"1", r
    assert kv.DeleteRange(pb.DeleteRangeRequest(key=b"c/a")).deleted == 1


def large():
    for i in range(12):
        put("c/large/%d" % i, "v" * LARGE)
    r = kv.Range(prefix("c/large/"))
    assert len(r.kvs) == 12 and len(r.kvs[11].value) == LARGE
    e = refused(lambda: put("c/large", "v" * 1_600_000), "request is too large")
    assert e.code() == grpc.StatusCode.INVALID_ARGUMENT, e
    p = prefix("c/large/")
    kv.DeleteRange(pb.DeleteRangeRequest(key=p.key, range_end=p.range_end))


def server_stream():
    size = sum(len(r.blob) for r in stubs.MaintenanceStub(channel).Snapshot(pb.SnapshotRequest()))
    assert size % 512 == 32, size


def bidirectional():
    requests = Requests()
    answers = stubs.WatchStub(channel).Watch(requests)
    for i in range(50):
        requests.send(create("c/w/%d" % i))
        r = next(answers)
        assert r.created and r.watch_id == i, r
    for i in range(50):
        put("c/w/%d" % i)
        r = next(answers)
        assert r.watch_id == i and len(r.events) == 1, r
    requests.end()
    put("c/w/7", "behind the half-close")
    assert next(answers).events[0].kv.value == b"behind the half-close"
    answers.cancel()
    assert answers.code() == grpc.StatusCode.CANCELLED

    lease = leases.LeaseGrant(pb.LeaseGrantRequest(TTL=60))
    requests = Requests()
    kept = leases.LeaseKeepAlive(requests)
    for _ in range(1000):
        requests.send(pb.LeaseKeepAliveRequest(ID=lease.ID))
    requests.end()
    assert [r.TTL for r in kept] == [60] * 1000
    assert kept.code() == grpc.StatusCode.OK


def field1(raw):
    return b"\x0a" + bytes([len(raw)]) + raw


def waiting(name):
    return kv.Range(prefix(name + "/")).count


def deadlines():
    lock(field1(b"c-deadline"))
    e = refused(lambda: lock(field1(b"c-deadline"), timeout=0.3))
    assert e.code() == grpc.StatusCode.DEADLINE_EXCEEDED, e
    until("the one whose deadline passed to leave the queue", lambda: waiting("c-deadline") == 1)
    assert get("c/none", timeout=30).count == 0


def cancellation():
    lock(field1(b"c-cancel"))
    call = lock.future(field1(b"c-cancel"))
    until("two in the queue", lambda: waiting("c-cancel") == 2)
    call.cancel()
    until("one in the queue", lambda: waiting("c-cancel") == 1)
    for i in range(8):
        put("c/cut/%d" % i, "v" * LARGE)
    for i in range(20):
        call = kv.Range.future(prefix("c/cut/"))
        time.sleep(i / 1000)
        call.cancel()
    assert len(kv.Range(prefix("c/cut/")).kvs) == 8


def compression():
    zipped = dict(compression=grpc.Compression.Gzip)
    value = "compressible " * 50_000
    put("c/zip", value, **zipped)
    assert get("c/zip", **zipped).kvs[0].value == value.encode()
    for i in range(200):
        put("c/zip/%d" % i, "small", **zipped)
    assert kv.Range(prefix("c/zip/"), **zipped).count == 200
    assert refused(lambda: put("", **zipped), "key is not provided").code() == grpc.StatusCode.INVALID_ARGUMENT
    e = refused(lambda: put("c/zip", value, compression=grpc.Compression.Deflate), "grpc-encoding")
    assert e.code() == grpc.StatusCode.UNIMPLEMENTED, e
    requests = Requests()
    answers = stubs.WatchStub(channel).Watch(requests, **zipped)
    requests.send(create("c/zip"))
    assert next(answers).created
    put("c/zip", "again", **zipped)
    assert next(answers).events[0].kv.value == b"again"
    answers.cancel()


def errors():
    assert refused(lambda: put(""), "etcdserver: key is not provided").code() == grpc.StatusCode.INVALID_ARGUMENT
    e = refused(lambda: kv.Range(pb.RangeRequest(key=b"x", revision=1 << 40)), "future revision")
    assert e.code() == grpc.StatusCode.OUT_OF_RANGE and not e.initial_metadata(), e
    nothing = channel.unary_unary("/etcdserverpb.KV/Nothing", request_serializer=lambda b: b, response_deserializer=lambda b: b)
    assert refused(lambda: nothing(b""), "unknown method").code() == grpc.StatusCode.UNIMPLEMENTED
    garbage = channel.unary_unary("/etcdserverpb.KV/Put", request_serializer=lambda b: b, response_deserializer=lambda b: b)
    assert refused(lambda: garbage(b"\x0a\xff")).code() == grpc.StatusCode.INTERNAL


def metadata():
    rows = [("hasleader", "true"), ("trace-bin", bytes(range(256)))] + [("x-%d" % i, "v" * i * 5) for i in range(40)]
    for i in range(100):
        put("c/meta", str(i), metadata=rows)
    assert get("c/meta", metadata=rows).kvs[0].value == b"99"
    huge = refused(lambda: put("c/meta", metadata=[("x-huge", "v" * (17 << 20))]))
    assert huge.code() in (grpc.StatusCode.UNAVAILABLE, grpc.StatusCode.RESOURCE_EXHAUSTED, grpc.StatusCode.INTERNAL), huge
    put("c/meta", wait_for_ready=True)


def many():
    one = grpc.insecure_channel(endpoint, [("grpc.use_local_subchannel_pool", 1)])
    stub = stubs.KVStub(one)
    room = threading.Semaphore(200)
    wrong = []

    def done(call):
        if call.code() != grpc.StatusCode.OK:
            wrong.append(call)
        room.release()

    for i in range(10_000):
        room.acquire()
        stub.Put.future(pb.PutRequest(key=b"c/many/%d" % (i % 500), value=b"%d" % i)).add_done_callback(done)
    for _ in range(200):
        assert room.acquire(timeout=60), "unanswered calls"
    one.close()
    assert not wrong, wrong[0]


def goaway():
    """The member ends in good order and comes back while threads write: nothing but UNAVAILABLE, nothing acknowledged is lost."""
    stop = threading.Event()
    wrong = []
    last = [0] * 8
    count = [0] * 8

    def work(me):
        i = 0
        while not stop.is_set():
            i += 1
            try:
                put("c/goaway/%d" % me, str(i), timeout=30)
                last[me] = i
                count[me] += 1
            except grpc.RpcError as error:
                if error.code() != grpc.StatusCode.UNAVAILABLE:
                    wrong.append(error)
                time.sleep(0.01)

    threads = [threading.Thread(target=work, args=(t,)) for t in range(8)]
    [t.start() for t in threads]
    until("first writes", lambda: sum(count) > 200)
    print("restart", flush=True)
    sys.stdin.readline()
    then = sum(count)
    until("writes after the restart", lambda: sum(count) > then + 200)
    stop.set()
    [t.join() for t in threads]
    assert not wrong, wrong[0]
    for t in range(8):
        assert int(get("c/goaway/%d" % t).kvs[0].value) >= last[t]


failed = 0
for check in (unary, large, server_stream, bidirectional, deadlines, cancellation, compression, errors, metadata, many, goaway):
    try:
        check()
        print("ok", check.__name__, flush=True)
    except Exception as error:
        failed += 1
        print("fail", check.__name__, repr(error), flush=True)
channel.close()
sys.exit(1 if failed else 0)
