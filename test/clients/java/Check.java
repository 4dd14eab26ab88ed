// Drives a member through jetcd and through the bare grpc-java stubs that it brings: one line for each check.
// Prints "restart" when the member is to be ended in good order and started again under load, and waits for a line on standard input.

import com.google.protobuf.ByteString;
import io.etcd.jetcd.ByteSequence;
import io.etcd.jetcd.Client;
import io.etcd.jetcd.api.DeleteRangeRequest;
import io.etcd.jetcd.api.KVGrpc;
import io.etcd.jetcd.api.LeaseGrantRequest;
import io.etcd.jetcd.api.LeaseGrpc;
import io.etcd.jetcd.api.LeaseKeepAliveRequest;
import io.etcd.jetcd.api.LeaseKeepAliveResponse;
import io.etcd.jetcd.api.MaintenanceGrpc;
import io.etcd.jetcd.api.PutRequest;
import io.etcd.jetcd.api.RangeRequest;
import io.etcd.jetcd.api.RangeResponse;
import io.etcd.jetcd.api.SnapshotRequest;
import io.etcd.jetcd.api.WatchCancelRequest;
import io.etcd.jetcd.api.WatchCreateRequest;
import io.etcd.jetcd.api.WatchGrpc;
import io.etcd.jetcd.api.WatchRequest;
import io.etcd.jetcd.api.WatchResponse;
import io.etcd.jetcd.api.lock.LockGrpc;
import io.etcd.jetcd.api.lock.LockRequest;
import io.etcd.jetcd.api.lock.LockResponse;
import io.etcd.jetcd.options.GetOption;
import io.etcd.jetcd.options.WatchOption;
import io.etcd.jetcd.watch.WatchEvent;
import io.grpc.CallOptions;
import io.grpc.ManagedChannel;
import io.grpc.Metadata;
import io.grpc.MethodDescriptor;
import io.grpc.Status;
import io.grpc.StatusRuntimeException;
import io.grpc.netty.NettyChannelBuilder;
import io.grpc.stub.ClientCallStreamObserver;
import io.grpc.stub.ClientCalls;
import io.grpc.stub.MetadataUtils;
import io.grpc.stub.StreamObserver;
import java.io.BufferedReader;
import java.io.InputStreamReader;
import java.util.ArrayList;
import java.util.List;
import java.util.concurrent.BlockingQueue;
import java.util.concurrent.CompletableFuture;
import java.util.concurrent.ConcurrentLinkedQueue;
import java.util.concurrent.Future;
import java.util.concurrent.LinkedBlockingQueue;
import java.util.concurrent.Semaphore;
import java.util.concurrent.TimeUnit;
import java.util.concurrent.atomic.AtomicBoolean;
import java.util.concurrent.atomic.AtomicInteger;
import java.util.concurrent.atomic.AtomicReference;

public class Check {
  interface Body {
    void run() throws Exception;
  }

  static final int LARGE = 1_000_000;
  static Client etcd;
  static ManagedChannel channel;
  static KVGrpc.KVBlockingStub kv;

  static ByteString b(String s) {
    return ByteString.copyFromUtf8(s);
  }

  static ByteSequence s(String s) {
    return ByteSequence.from(s.getBytes());
  }

  static void want(boolean ok, Object seen) {
    if (!ok) throw new AssertionError(String.valueOf(seen));
  }

  static <T> T next(BlockingQueue<T> queue) throws InterruptedException {
    T value = queue.poll(30, TimeUnit.SECONDS);
    want(value != null, "nothing came within 30 s");
    return value;
  }

  static <T> T get(Future<T> future) throws Exception {
    return future.get(30, TimeUnit.SECONDS);
  }

  static PutRequest put(String key, String value) {
    return PutRequest.newBuilder().setKey(b(key)).setValue(b(value)).build();
  }

  static RangeRequest range(String key) {
    return RangeRequest.newBuilder().setKey(b(key)).build();
  }

  static RangeRequest prefix(String key) {
    return RangeRequest.newBuilder().setKey(b(key)).setRangeEnd(end(key)).build();
  }

  /** The end of the range of a prefix whose last character is ASCII. */
  static ByteString end(String prefix) {
    return b(prefix.substring(0, prefix.length() - 1) + (char) (prefix.charAt(prefix.length() - 1) + 1));
  }

  static Status.Code refused(Body body, String words) throws Exception {
    try {
      body.run();
    } catch (StatusRuntimeException e) {
      want(String.valueOf(e.getStatus().getDescription()).contains(words), e);
      return e.getStatus().getCode();
    }
    throw new AssertionError("not refused");
  }

  /** Collects what a stream brings; its end is an error or COMPLETED. */
  static class Inbox<T> implements StreamObserver<T> {
    final BlockingQueue<T> messages = new LinkedBlockingQueue<>();
    final CompletableFuture<Status> end = new CompletableFuture<>();

    public void onNext(T message) {
      messages.add(message);
    }

    public void onError(Throwable error) {
      end.complete(Status.fromThrowable(error));
    }

    public void onCompleted() {
      end.complete(Status.OK);
    }
  }

  static void jetcdKv() throws Exception {
    get(etcd.getKVClient().put(s("j/a"), s("1")));
    want(get(etcd.getKVClient().get(s("j/a"))).getKvs().get(0).getValue().toString().equals("1"), "value");
    want(get(etcd.getKVClient().get(s("j/"), GetOption.builder().isPrefix(true).withCountOnly(true).build())).getCount() == 1, "count");
    want(get(etcd.getKVClient().delete(s("j/a"))).getDeleted() == 1, "deleted");
  }

  static void jetcdWatch() throws Exception {
    BlockingQueue<WatchEvent> events = new LinkedBlockingQueue<>();
    WatchOption option = WatchOption.builder().isPrefix(true).withPrevKV(true).build();
    try (var watcher = etcd.getWatchClient().watch(s("j/w/"), option, r -> events.addAll(r.getEvents()))) {
      for (int i = 0; i < 20; i++) get(etcd.getKVClient().put(s("j/w/a"), s("" + i)));
      get(etcd.getKVClient().delete(s("j/w/a")));
      // The watch may begin behind the first puts: jetcd does not wait for its creation.
      int last = -1;
      for (WatchEvent e = next(events); e.getEventType() != WatchEvent.EventType.DELETE; e = next(events)) {
        int value = Integer.parseInt(e.getKeyValue().getValue().toString());
        want(last == -1 || value == last + 1, value + " after " + last);
        last = value;
      }
    }
  }

  static void jetcdLease() throws Exception {
    long id = get(etcd.getLeaseClient().grant(60)).getID();
    LinkedBlockingQueue<Long> kept = new LinkedBlockingQueue<>();
    try (var keeper = etcd.getLeaseClient().keepAlive(id, new StreamObserver<io.etcd.jetcd.lease.LeaseKeepAliveResponse>() {
      public void onNext(io.etcd.jetcd.lease.LeaseKeepAliveResponse r) {
        kept.add(r.getTTL());
      }

      public void onError(Throwable t) {}

      public void onCompleted() {}
    })) {
      want(next(kept) == 60, "ttl");
    }
    get(etcd.getLeaseClient().revoke(id));
  }

  static void jetcdLock() throws Exception {
    long id = get(etcd.getLeaseClient().grant(60)).getID();
    ByteSequence key = get(etcd.getLockClient().lock(s("j-lock"), id)).getKey();
    get(etcd.getLockClient().unlock(key));
    get(etcd.getElectionClient().campaign(s("j-elect"), id, s("me")));
    want(get(etcd.getElectionClient().leader(s("j-elect"))).getKv().getValue().toString().equals("me"), "leader");
    get(etcd.getLeaseClient().revoke(id));
  }

  static void large() throws Exception {
    String value = "v".repeat(LARGE);
    for (int i = 0; i < 12; i++) kv.put(put("g/large/" + i, value));
    RangeResponse all = kv.range(prefix("g/large/"));
    want(all.getKvsCount() == 12 && all.getKvs(11).getValue().size() == LARGE, all.getKvsCount());
    kv.deleteRange(DeleteRangeRequest.newBuilder().setKey(b("g/large/")).setRangeEnd(end("g/large/")).build());
    want(refused(() -> kv.put(put("g/large", "v".repeat(1_600_000))), "request is too large") == Status.Code.INVALID_ARGUMENT, "code");
  }

  static void serverStream() throws Exception {
    long bytes = 0;
    var parts = MaintenanceGrpc.newBlockingStub(channel).snapshot(SnapshotRequest.getDefaultInstance());
    while (parts.hasNext()) bytes += parts.next().getBlob().size();
    want(bytes % 512 == 32, bytes);
  }

  static void bidirectional() throws Exception {
    Inbox<WatchResponse> inbox = new Inbox<>();
    StreamObserver<WatchRequest> watch = WatchGrpc.newStub(channel).watch(inbox);
    for (int i = 0; i < 50; i++) {
      watch.onNext(WatchRequest.newBuilder().setCreateRequest(WatchCreateRequest.newBuilder().setKey(b("g/w/" + i))).build());
    }
    for (int i = 0; i < 50; i++) want(next(inbox.messages).getCreated(), "created");
    for (int i = 0; i < 50; i++) kv.put(put("g/w/" + i, "x"));
    for (int i = 0; i < 50; i++) want(next(inbox.messages).getWatchId() == i, "order");
    watch.onNext(WatchRequest.newBuilder().setCancelRequest(WatchCancelRequest.newBuilder().setWatchId(7)).build());
    want(next(inbox.messages).getCanceled(), "cancelled");
    // A half-closed watch stream goes on, as on etcd; only cancelling the call ends it.
    watch.onCompleted();
    kv.put(put("g/w/3", "y"));
    want(next(inbox.messages).getEvents(0).getKv().getValue().toStringUtf8().equals("y"), "event after the half-close");
    ((ClientCallStreamObserver<WatchRequest>) watch).cancel("enough", null);
    want(get(inbox.end).getCode() == Status.Code.CANCELLED, inbox.end);

    long id = LeaseGrpc.newBlockingStub(channel).leaseGrant(LeaseGrantRequest.newBuilder().setTTL(60).build()).getID();
    Inbox<LeaseKeepAliveResponse> kept = new Inbox<>();
    StreamObserver<LeaseKeepAliveRequest> keep = LeaseGrpc.newStub(channel).leaseKeepAlive(kept);
    for (int i = 0; i < 1000; i++) keep.onNext(LeaseKeepAliveRequest.newBuilder().setID(id).build());
    for (int i = 0; i < 1000; i++) want(next(kept.messages).getTTL() == 60, "ttl");
    keep.onCompleted();
    want(get(kept.end).isOk(), kept.end);
  }

  /** How many wait for or hold the lock of this name. */
  static long queue(String name) {
    return kv.range(prefix(name + "/")).getCount();
  }

  static void settled(String name, long n) throws Exception {
    long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(30);
    while (queue(name) != n) {
      want(System.nanoTime() < until, queue(name) + " in the queue of " + name + " instead of " + n);
      Thread.sleep(20);
    }
  }

  static void deadlines() throws Exception {
    LockGrpc.LockBlockingStub lock = LockGrpc.newBlockingStub(channel);
    LockRequest request = LockRequest.newBuilder().setName(b("g-deadline")).build();
    LockResponse held = lock.lock(request);
    want(refused(() -> lock.withDeadlineAfter(300, TimeUnit.MILLISECONDS).lock(request), "") == Status.Code.DEADLINE_EXCEEDED, "code");
    settled("g-deadline", 1);
    kv.deleteRange(DeleteRangeRequest.newBuilder().setKey(held.getKey()).build());
    want(kv.withDeadlineAfter(30, TimeUnit.SECONDS).range(range("g/none")).getCount() == 0, "a generous deadline");
  }

  static void cancellation() throws Exception {
    LockRequest request = LockRequest.newBuilder().setName(b("g-cancel")).build();
    LockResponse held = LockGrpc.newBlockingStub(channel).lock(request);
    Future<LockResponse> waiting = LockGrpc.newFutureStub(channel).lock(request);
    settled("g-cancel", 2);
    waiting.cancel(true);
    settled("g-cancel", 1);
    kv.deleteRange(DeleteRangeRequest.newBuilder().setKey(held.getKey()).build());
    // A stream that goes away in the middle of a message's frames leaves the connection in order.
    String value = "v".repeat(LARGE);
    for (int i = 0; i < 8; i++) kv.put(put("g/cut/" + i, value));
    for (int i = 0; i < 20; i++) {
      Future<RangeResponse> cut = KVGrpc.newFutureStub(channel).range(prefix("g/cut/"));
      Thread.sleep(i);
      cut.cancel(true);
    }
    want(kv.range(prefix("g/cut/")).getKvsCount() == 8, "after cancellations");
  }

  static void compression() throws Exception {
    KVGrpc.KVBlockingStub zipped = kv.withCompression("gzip");
    String value = "compressible ".repeat(50_000);
    zipped.put(put("g/zip", value));
    want(zipped.range(range("g/zip")).getKvs(0).getValue().toStringUtf8().equals(value), "value");
    for (int i = 0; i < 200; i++) zipped.put(put("g/zip/" + i, "small " + i));
    want(zipped.range(prefix("g/zip/")).getKvsCount() == 200, "range");
    want(refused(() -> zipped.put(put("", "x")), "key is not provided") == Status.Code.INVALID_ARGUMENT, "code");

    Inbox<WatchResponse> inbox = new Inbox<>();
    StreamObserver<WatchRequest> watch = WatchGrpc.newStub(channel).withCompression("gzip").watch(inbox);
    watch.onNext(WatchRequest.newBuilder().setCreateRequest(WatchCreateRequest.newBuilder().setKey(b("g/zip"))).build());
    want(next(inbox.messages).getCreated(), "created");
    zipped.put(put("g/zip", "again"));
    want(next(inbox.messages).getEvents(0).getKv().getValue().toStringUtf8().equals("again"), "event");
    ((ClientCallStreamObserver<WatchRequest>) watch).cancel("enough", null);
  }

  static void errors() throws Exception {
    want(refused(() -> kv.put(put("", "x")), "etcdserver: key is not provided") == Status.Code.INVALID_ARGUMENT, "code");
    AtomicReference<Metadata> headers = new AtomicReference<>();
    AtomicReference<Metadata> trailers = new AtomicReference<>();
    var seen = kv.withInterceptors(MetadataUtils.newCaptureMetadataInterceptor(headers, trailers));
    refused(() -> seen.range(RangeRequest.newBuilder().setKey(b("x")).setRevision(1L << 40).build()), "future revision");
    want(headers.get() == null && trailers.get() != null, "trailers only: " + headers + " " + trailers);
    seen.range(range("x"));
    want(headers.get() != null, "headers");
    MethodDescriptor<RangeRequest, RangeResponse> unknown = KVGrpc.getRangeMethod().toBuilder().setFullMethodName("etcdserverpb.KV/Nothing").build();
    var code = refused(() -> ClientCalls.blockingUnaryCall(channel, unknown, CallOptions.DEFAULT, range("x")), "unknown method");
    want(code == Status.Code.UNIMPLEMENTED, code);
  }

  static void metadata() throws Exception {
    Metadata m = new Metadata();
    m.put(Metadata.Key.of("hasleader", Metadata.ASCII_STRING_MARSHALLER), "true");
    byte[] binary = new byte[300];
    for (int i = 0; i < binary.length; i++) binary[i] = (byte) i;
    m.put(Metadata.Key.of("trace-bin", Metadata.BINARY_BYTE_MARSHALLER), binary);
    for (int i = 0; i < 40; i++) m.put(Metadata.Key.of("x-" + i, Metadata.ASCII_STRING_MARSHALLER), "v".repeat(i * 5));
    var with = kv.withInterceptors(MetadataUtils.newAttachHeadersInterceptor(m));
    for (int i = 0; i < 100; i++) with.put(put("g/meta", "" + i));
    want(with.range(range("g/meta")).getKvs(0).getValue().toStringUtf8().equals("99"), "value");
  }

  static void many() throws Exception {
    ManagedChannel one = open();
    AtomicInteger done = new AtomicInteger();
    Semaphore room = new Semaphore(200);
    ConcurrentLinkedQueue<Throwable> wrong = new ConcurrentLinkedQueue<>();
    KVGrpc.KVStub stub = KVGrpc.newStub(one);
    for (int i = 0; i < 10_000; i++) {
      room.acquire();
      stub.put(put("g/many/" + i % 500, "" + i), new StreamObserver<>() {
        public void onNext(io.etcd.jetcd.api.PutResponse r) {
          done.incrementAndGet();
        }

        public void onError(Throwable t) {
          wrong.add(t);
          room.release();
        }

        public void onCompleted() {
          room.release();
        }
      });
    }
    want(room.tryAcquire(200, 60, TimeUnit.SECONDS), "unanswered calls");
    one.shutdownNow();
    want(wrong.isEmpty() && done.get() == 10_000, done + " " + wrong.peek());
  }

  /** The member ends in good order (GOAWAY) and comes back while eight threads write: nothing but UNAVAILABLE, nothing acknowledged is lost. */
  static void goaway() throws Exception {
    AtomicBoolean stop = new AtomicBoolean();
    ConcurrentLinkedQueue<Throwable> wrong = new ConcurrentLinkedQueue<>();
    AtomicInteger acknowledged = new AtomicInteger();
    List<Thread> threads = new ArrayList<>();
    int[] last = new int[8];
    for (int t = 0; t < 8; t++) {
      int me = t;
      Thread thread = new Thread(() -> {
        for (int i = 1; !stop.get(); i++) {
          try {
            kv.withDeadlineAfter(30, TimeUnit.SECONDS).put(put("g/goaway/" + me, "" + i));
            last[me] = i;
            acknowledged.incrementAndGet();
          } catch (StatusRuntimeException e) {
            if (e.getStatus().getCode() != Status.Code.UNAVAILABLE) wrong.add(e);
          }
        }
      });
      thread.start();
      threads.add(thread);
    }
    while (acknowledged.get() < 200) Thread.sleep(10);
    System.out.println("restart");
    new BufferedReader(new InputStreamReader(System.in)).readLine();
    int then = acknowledged.get();
    long until = System.nanoTime() + TimeUnit.SECONDS.toNanos(60);
    while (acknowledged.get() < then + 200 && System.nanoTime() < until) Thread.sleep(10);
    stop.set(true);
    for (Thread thread : threads) thread.join();
    want(wrong.isEmpty(), wrong.peek());
    want(acknowledged.get() >= then + 200, "no calls after the restart");
    for (int t = 0; t < 8; t++) {
      int value = Integer.parseInt(kv.range(range("g/goaway/" + t)).getKvs(0).getValue().toStringUtf8());
      want(value >= last[t], value + " after " + last[t] + " was acknowledged");
    }
  }

  static ManagedChannel open() {
    return NettyChannelBuilder.forTarget("dns:///" + endpoint).usePlaintext().maxInboundMessageSize(64 << 20).build();
  }

  static String endpoint;

  public static void main(String[] args) throws Exception {
    endpoint = args[0];
    etcd = Client.builder().endpoints("http://" + endpoint).build();
    channel = open();
    kv = KVGrpc.newBlockingStub(channel);
    int failed = 0;
    var checks = new java.util.LinkedHashMap<String, Body>();
    checks.put("jetcd-kv", Check::jetcdKv);
    checks.put("jetcd-watch", Check::jetcdWatch);
    checks.put("jetcd-lease", Check::jetcdLease);
    checks.put("jetcd-lock", Check::jetcdLock);
    checks.put("large", Check::large);
    checks.put("server-stream", Check::serverStream);
    checks.put("bidirectional", Check::bidirectional);
    checks.put("deadlines", Check::deadlines);
    checks.put("cancellation", Check::cancellation);
    checks.put("compression", Check::compression);
    checks.put("errors", Check::errors);
    checks.put("metadata", Check::metadata);
    checks.put("many", Check::many);
    checks.put("goaway", Check::goaway);
    for (var check : checks.entrySet()) {
      try {
        check.getValue().run();
        System.out.println("ok " + check.getKey());
      } catch (Throwable e) {
        failed++;
        System.out.println("fail " + check.getKey() + ": " + e);
        e.printStackTrace();
      }
    }
    channel.shutdownNow();
    etcd.close();
    System.exit(failed > 0 ? 1 : 0);
  }
}
