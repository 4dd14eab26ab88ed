// Clientcheck drives a member through etcd's own Go client and reports one line for each check, "ok NAME" or "fail NAME: why".
// Where a check needs the member killed and started again it prints "restart" and waits for a line on standard input; "restart in order"
// where the member is to end as by SIGTERM.
package main

import (
	"bufio"
	"context"
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	pb "go.etcd.io/etcd/api/v3/etcdserverpb"
	"go.etcd.io/etcd/api/v3/v3rpc/rpctypes"
	"go.etcd.io/etcd/client/pkg/v3/transport"
	clientv3 "go.etcd.io/etcd/client/v3"
	"go.etcd.io/etcd/client/v3/concurrency"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	_ "google.golang.org/grpc/encoding/gzip"
	"google.golang.org/grpc/metadata"
	"google.golang.org/grpc/status"
)

var stdin = bufio.NewReader(os.Stdin)

type check struct {
	name string
	run  func(ctx context.Context, c *clientv3.Client) error
}

func main() {
	endpoints := flag.String("endpoints", "127.0.0.1:2379", "comma separated")
	only := flag.String("only", "", "run the checks whose names contain this")
	ca := flag.String("cacert", "", "authority of the server")
	cert := flag.String("cert", "", "client certificate")
	key := flag.String("key", "", "its key")
	user := flag.String("user", "", "name:password")
	flag.Parse()
	config := clientv3.Config{Endpoints: strings.Split(*endpoints, ","), DialTimeout: 5 * time.Second}
	if *ca != "" {
		info := transport.TLSInfo{TrustedCAFile: *ca, CertFile: *cert, KeyFile: *key}
		tls, err := info.ClientConfig()
		if err != nil {
			fmt.Println("fail tls:", err)
			os.Exit(1)
		}
		config.TLS = tls
	}
	config.Username, config.Password, _ = strings.Cut(*user, ":")
	c, err := clientv3.New(config)
	if err != nil {
		fmt.Println("fail dial:", err)
		os.Exit(1)
	}
	defer c.Close()
	failed := 0
	if *only == "login" {
		if err := login(c); err != nil {
			fmt.Println("fail login:", err)
			os.Exit(1)
		}
		fmt.Println("ok login")
		return
	}
	for _, k := range []check{
		{"kv", kv}, {"ranges", ranges}, {"txn", txn}, {"errors", wrong}, {"stream", stream}, {"big", big}, {"lease", lease}, {"keepalive", keepalive},
		{"lock", lock}, {"election", election}, {"stm", stm}, {"compact", compact}, {"maintenance", maintenance}, {"many", many}, {"watch", watch},
		{"deadlines", deadlines}, {"cancellation", cancellation}, {"compression", compression}, {"metadata", heads}, {"resume", resume}, {"goaway", goaway},
	} {
		if !strings.Contains(k.name, *only) {
			continue
		}
		ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
		if err := k.run(ctx, c); err != nil {
			failed++
			fmt.Printf("fail %s: %v\n", k.name, err)
		} else {
			fmt.Printf("ok %s\n", k.name)
		}
		cancel()
	}
	if failed > 0 {
		os.Exit(1)
	}
}

// login writes and reads what the user may, many at once, and sees a token that it did not have to ask for twice.
func login(c *clientv3.Client) error {
	ctx, cancel := context.WithTimeout(context.Background(), 60*time.Second)
	defer cancel()
	got := make(chan error, 20)
	for i := 0; i < cap(got); i++ {
		go func() {
			_, err := c.Put(ctx, fmt.Sprintf("mine/go/%d", i), "1")
			got <- err
		}()
	}
	for i := 0; i < cap(got); i++ {
		if err := <-got; err != nil {
			return err
		}
	}
	g, err := c.Get(ctx, "mine/go/", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	if err := want(g.Count == int64(cap(got)), "%d keys", g.Count); err != nil {
		return err
	}
	w := c.Watch(ctx, "mine/go/", clientv3.WithPrefix(), clientv3.WithRev(g.Header.Revision))
	if r := <-w; r.Err() != nil {
		return r.Err()
	}
	return nil
}

func want(ok bool, format string, args ...any) error {
	if ok {
		return nil
	}
	return fmt.Errorf(format, args...)
}

func kv(ctx context.Context, c *clientv3.Client) error {
	p1, err := c.Put(ctx, "kv/a", "1")
	if err != nil {
		return err
	}
	p2, err := c.Put(ctx, "kv/a", "2", clientv3.WithPrevKV())
	if err != nil {
		return err
	}
	if err := want(string(p2.PrevKv.Value) == "1" && p2.Header.Revision == p1.Header.Revision+1, "previous %v", p2); err != nil {
		return err
	}
	g, err := c.Get(ctx, "kv/a", clientv3.WithRev(p1.Header.Revision))
	if err != nil {
		return err
	}
	if err := want(len(g.Kvs) == 1 && string(g.Kvs[0].Value) == "1", "old revision %v", g); err != nil {
		return err
	}
	d, err := c.Delete(ctx, "kv/a", clientv3.WithPrevKV())
	if err != nil {
		return err
	}
	return want(d.Deleted == 1 && string(d.PrevKvs[0].Value) == "2", "delete %v", d)
}

func ranges(ctx context.Context, c *clientv3.Client) error {
	for i := 0; i < 250; i++ {
		if _, err := c.Put(ctx, fmt.Sprintf("r/%03d", i), fmt.Sprint(i)); err != nil {
			return err
		}
	}
	g, err := c.Get(ctx, "r/", clientv3.WithPrefix(), clientv3.WithLimit(100), clientv3.WithSort(clientv3.SortByKey, clientv3.SortDescend))
	if err != nil {
		return err
	}
	if err := want(g.Count == 250 && g.More && len(g.Kvs) == 100 && string(g.Kvs[0].Key) == "r/249", "descending %d %v %d", g.Count, g.More, len(g.Kvs)); err != nil {
		return err
	}
	g, err = c.Get(ctx, "r/200", clientv3.WithFromKey(), clientv3.WithCountOnly())
	if err != nil {
		return err
	}
	if g.Count < 50 {
		return fmt.Errorf("from key count %d", g.Count)
	}
	g, err = c.Get(ctx, "r/", clientv3.WithPrefix(), clientv3.WithKeysOnly(), clientv3.WithSerializable())
	if err != nil {
		return err
	}
	return want(len(g.Kvs) == 250 && len(g.Kvs[7].Value) == 0, "keys only %d", len(g.Kvs))
}

func txn(ctx context.Context, c *clientv3.Client) error {
	if _, err := c.Delete(ctx, "t/", clientv3.WithPrefix()); err != nil {
		return err
	}
	t, err := c.Txn(ctx).If(clientv3.Compare(clientv3.CreateRevision("t/a"), "=", 0)).
		Then(clientv3.OpPut("t/a", "x"), clientv3.OpTxn(nil, []clientv3.Op{clientv3.OpPut("t/b", "y"), clientv3.OpGet("t/", clientv3.WithPrefix())}, nil)).
		Else(clientv3.OpGet("t/a")).Commit()
	if err != nil {
		return err
	}
	inner := t.Responses[1].GetResponseTxn()
	if err := want(t.Succeeded && inner.Responses[1].GetResponseRange().Count == 2, "nested %v", t); err != nil {
		return err
	}
	t, err = c.Txn(ctx).If(clientv3.Compare(clientv3.Value("t/a"), "=", "z")).Else(clientv3.OpDelete("t/", clientv3.WithPrefix())).Commit()
	if err != nil {
		return err
	}
	return want(!t.Succeeded && t.Responses[0].GetResponseDeleteRange().Deleted == 2, "else %v", t)
}

func wrong(ctx context.Context, c *clientv3.Client) error {
	if _, err := c.Put(ctx, "", "x"); !errors.Is(err, rpctypes.ErrEmptyKey) {
		return fmt.Errorf("empty key: %v", err)
	}
	if _, err := c.Put(ctx, "e", "x", clientv3.WithLease(987654)); !errors.Is(err, rpctypes.ErrLeaseNotFound) {
		return fmt.Errorf("unknown lease: %v", err)
	}
	if _, err := c.Get(ctx, "e", clientv3.WithRev(1<<40)); !errors.Is(err, rpctypes.ErrFutureRev) {
		return fmt.Errorf("future: %v", err)
	}
	if _, err := c.Put(ctx, "e", strings.Repeat("x", 1600*1024)); !errors.Is(err, rpctypes.ErrRequestTooLarge) {
		return fmt.Errorf("too large: %v", err)
	}
	if _, err := c.Txn(ctx).Then(clientv3.OpPut("d", "1"), clientv3.OpPut("d", "2")).Commit(); !errors.Is(err, rpctypes.ErrDuplicateKey) {
		return fmt.Errorf("duplicate: %v", err)
	}
	return nil
}

func stream(ctx context.Context, c *clientv3.Client) error {
	s, err := c.GetStream(ctx, "r/", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	n := 0
	for r := range s {
		if r.Err() != nil {
			return r.Err()
		}
		n += len(r.Kvs)
	}
	return want(n == 250, "streamed %d", n)
}

func big(ctx context.Context, c *clientv3.Client) error {
	v := strings.Repeat("v", 1000*1000)
	for i := 0; i < 8; i++ {
		if _, err := c.Put(ctx, fmt.Sprintf("big/%d", i), v); err != nil {
			return err
		}
	}
	g, err := c.Get(ctx, "big/", clientv3.WithPrefix())
	if err != nil {
		return err
	}
	if _, err := c.Delete(ctx, "big/", clientv3.WithPrefix()); err != nil {
		return err
	}
	return want(len(g.Kvs) == 8 && string(g.Kvs[7].Value) == v, "big values")
}

func lease(ctx context.Context, c *clientv3.Client) error {
	l, err := c.Grant(ctx, 2)
	if err != nil {
		return err
	}
	w := c.Watch(ctx, "l/a", clientv3.WithFilterPut())
	if _, err := c.Put(ctx, "l/a", "x", clientv3.WithLease(l.ID)); err != nil {
		return err
	}
	t, err := c.TimeToLive(ctx, l.ID, clientv3.WithAttachedKeys())
	if err != nil {
		return err
	}
	if err := want(t.GrantedTTL == 2 && len(t.Keys) == 1, "time to live %v", t); err != nil {
		return err
	}
	select {
	case r := <-w:
		return want(len(r.Events) == 1 && r.Events[0].Type == clientv3.EventTypeDelete, "expiry %v", r)
	case <-time.After(10 * time.Second):
		return errors.New("lease did not expire")
	}
}

func keepalive(ctx context.Context, c *clientv3.Client) error {
	l, err := c.Grant(ctx, 2)
	if err != nil {
		return err
	}
	if _, err := c.Put(ctx, "l/k", "x", clientv3.WithLease(l.ID)); err != nil {
		return err
	}
	kctx, cancel := context.WithCancel(ctx)
	ch, err := c.KeepAlive(kctx, l.ID)
	if err != nil {
		cancel()
		return err
	}
	until := time.After(5 * time.Second)
	n := 0
loop:
	for {
		select {
		case r, ok := <-ch:
			if !ok {
				cancel()
				return errors.New("keepalive ended")
			}
			n++
			_ = r
		case <-until:
			break loop
		}
	}
	cancel()
	g, err := c.Get(ctx, "l/k")
	if err != nil {
		return err
	}
	if _, err := c.Revoke(ctx, l.ID); err != nil {
		return err
	}
	return want(len(g.Kvs) == 1 && n >= 4, "kept %d times, %d keys", n, len(g.Kvs))
}

func lock(ctx context.Context, c *clientv3.Client) error {
	s1, err := concurrency.NewSession(c, concurrency.WithTTL(5))
	if err != nil {
		return err
	}
	defer s1.Close()
	s2, err := concurrency.NewSession(c, concurrency.WithTTL(5))
	if err != nil {
		return err
	}
	defer s2.Close()
	m1, m2 := concurrency.NewMutex(s1, "lock"), concurrency.NewMutex(s2, "lock")
	if err := m1.Lock(ctx); err != nil {
		return err
	}
	if err := m2.TryLock(ctx); !errors.Is(err, concurrency.ErrLocked) {
		return fmt.Errorf("second owner: %v", err)
	}
	got := make(chan error, 1)
	go func() { got <- m2.Lock(ctx) }()
	select {
	case err := <-got:
		return fmt.Errorf("locked twice: %v", err)
	case <-time.After(200 * time.Millisecond):
	}
	if err := m1.Unlock(ctx); err != nil {
		return err
	}
	return <-got
}

func election(ctx context.Context, c *clientv3.Client) error {
	s1, err := concurrency.NewSession(c)
	if err != nil {
		return err
	}
	defer s1.Close()
	s2, err := concurrency.NewSession(c)
	if err != nil {
		return err
	}
	defer s2.Close()
	e1, e2 := concurrency.NewElection(s1, "elect"), concurrency.NewElection(s2, "elect")
	if err := e1.Campaign(ctx, "one"); err != nil {
		return err
	}
	observed := e2.Observe(ctx)
	if r := <-observed; string(r.Kvs[0].Value) != "one" {
		return fmt.Errorf("observed %v", r)
	}
	done := make(chan error, 1)
	go func() { done <- e2.Campaign(ctx, "two") }()
	time.Sleep(100 * time.Millisecond)
	if err := e1.Proclaim(ctx, "uno"); err != nil {
		return err
	}
	if err := e1.Resign(ctx); err != nil {
		return err
	}
	if err := <-done; err != nil {
		return err
	}
	l, err := e1.Leader(ctx)
	if err != nil {
		return err
	}
	return want(string(l.Kvs[0].Value) == "two", "leader %v", l)
}

func stm(ctx context.Context, c *clientv3.Client) error {
	if _, err := c.Put(ctx, "stm", ""); err != nil {
		return err
	}
	done := make(chan error, 8)
	for i := 0; i < 8; i++ {
		go func() {
			_, err := concurrency.NewSTM(c, func(s concurrency.STM) error {
				s.Put("stm", s.Get("stm")+"x")
				return nil
			})
			done <- err
		}()
	}
	for i := 0; i < 8; i++ {
		if err := <-done; err != nil {
			return err
		}
	}
	g, err := c.Get(ctx, "stm")
	if err != nil {
		return err
	}
	return want(string(g.Kvs[0].Value) == "xxxxxxxx", "stm %q", g.Kvs[0].Value)
}

func compact(ctx context.Context, c *clientv3.Client) error {
	var last int64
	for i := 0; i < 20; i++ {
		p, err := c.Put(ctx, "c", fmt.Sprint(i))
		if err != nil {
			return err
		}
		last = p.Header.Revision
	}
	if _, err := c.Compact(ctx, last-5, clientv3.WithCompactPhysical()); err != nil {
		return err
	}
	if _, err := c.Get(ctx, "c", clientv3.WithRev(last-6)); !errors.Is(err, rpctypes.ErrCompacted) {
		return fmt.Errorf("read below: %v", err)
	}
	g, err := c.Get(ctx, "c", clientv3.WithRev(last-5))
	if err != nil {
		return err
	}
	if err := want(string(g.Kvs[0].Value) == "14", "at the compaction %v", g); err != nil {
		return err
	}
	r := <-c.Watch(ctx, "c", clientv3.WithRev(1))
	return want(errors.Is(r.Err(), rpctypes.ErrCompacted) && r.CompactRevision == last-5, "watch below: %v %d", r.Err(), r.CompactRevision)
}

func maintenance(ctx context.Context, c *clientv3.Client) error {
	ep := c.Endpoints()[0]
	s, err := c.Status(ctx, ep)
	if err != nil {
		return err
	}
	if err := want(s.Version == "3.7.1" && s.Leader != 0 && s.DbSize > 0, "status %v", s); err != nil {
		return err
	}
	if _, err := c.HashKV(ctx, ep, 0); err != nil {
		return err
	}
	m, err := c.MemberList(ctx)
	if err != nil {
		return err
	}
	if len(m.Members) == 0 || len(m.Members[0].ClientURLs) == 0 {
		return fmt.Errorf("members %v", m)
	}
	if _, err := c.AlarmList(ctx); err != nil {
		return err
	}
	r, err := c.Snapshot(ctx)
	if err != nil {
		return err
	}
	n, err := io.Copy(io.Discard, r)
	if err != nil {
		return err
	}
	if err := want(n%512 == 32, "snapshot of %d bytes", n); err != nil {
		return err
	}
	_, err = c.Defragment(ctx, ep)
	return err
}

func many(ctx context.Context, c *clientv3.Client) error {
	errs := make(chan error, 100)
	for i := 0; i < 100; i++ {
		go func(i int) {
			for k := 0; k < 100; k++ {
				if _, err := c.Put(ctx, fmt.Sprintf("m/%d", i), fmt.Sprint(k)); err != nil {
					errs <- err
					return
				}
			}
			errs <- nil
		}(i)
	}
	for i := 0; i < 100; i++ {
		if err := <-errs; err != nil {
			return err
		}
	}
	return nil
}

func watch(ctx context.Context, c *clientv3.Client) error {
	p, err := c.Put(ctx, "w/0", "0")
	if err != nil {
		return err
	}
	w := c.Watch(ctx, "w/", clientv3.WithPrefix(), clientv3.WithRev(p.Header.Revision), clientv3.WithPrevKV())
	for i := 1; i <= 50; i++ {
		if _, err := c.Put(ctx, "w/0", fmt.Sprint(i)); err != nil {
			return err
		}
	}
	if _, err := c.Delete(ctx, "w/0"); err != nil {
		return err
	}
	n := 0
	for r := range w {
		if r.Err() != nil {
			return r.Err()
		}
		for _, e := range r.Events {
			if n <= 50 {
				if err := want(string(e.Kv.Value) == fmt.Sprint(n), "event %d: %v", n, e); err != nil {
					return err
				}
			}
			if n > 0 {
				if err := want(e.PrevKv != nil && string(e.PrevKv.Value) == fmt.Sprint(n-1), "previous of %d: %v", n, e); err != nil {
					return err
				}
			}
			n++
			if n == 52 {
				return want(e.Type == clientv3.EventTypeDelete, "last %v", e)
			}
		}
	}
	return errors.New("watch ended")
}

func resume(ctx context.Context, c *clientv3.Client) error {
	w := c.Watch(ctx, "rs")
	if _, err := c.Put(ctx, "rs", "0"); err != nil {
		return err
	}
	if r := <-w; len(r.Events) != 1 {
		return fmt.Errorf("first %v", r)
	}
	fmt.Println("restart")
	if _, err := stdin.ReadString('\n'); err != nil {
		return err
	}
	for i := 1; i <= 10; i++ {
		for {
			pctx, cancel := context.WithTimeout(ctx, 5*time.Second)
			_, err := c.Put(pctx, "rs", fmt.Sprint(i))
			cancel()
			if err == nil {
				break
			}
			if ctx.Err() != nil {
				return err
			}
			time.Sleep(50 * time.Millisecond)
		}
	}
	last := 0
	for r := range w {
		if r.Err() != nil {
			return r.Err()
		}
		for _, e := range r.Events {
			v := 0
			fmt.Sscan(string(e.Kv.Value), &v)
			if v != last && v != last+1 {
				return fmt.Errorf("event %d after %d", v, last)
			}
			last = v
			if last == 10 {
				return nil
			}
		}
	}
	return errors.New("watch ended")
}

// wire is grpc-go itself, without clientv3's retries and balancing.
func wire(c *clientv3.Client, options ...grpc.CallOption) (*grpc.ClientConn, error) {
	return grpc.NewClient(c.Endpoints()[0], grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(append(options, grpc.MaxCallRecvMsgSize(64<<20))...))
}

func queueOf(ctx context.Context, c *clientv3.Client, name string, n int64) error {
	for {
		g, err := c.Get(ctx, name+"/", clientv3.WithPrefix(), clientv3.WithCountOnly())
		if err != nil {
			return err
		}
		if g.Count == n {
			return nil
		}
		time.Sleep(20 * time.Millisecond)
	}
}

func waiters(c *clientv3.Client, name string) (*concurrency.Session, error) {
	s, err := concurrency.NewSession(c)
	if err != nil {
		return nil, err
	}
	return s, concurrency.NewMutex(s, name).Lock(context.Background())
}

func deadlines(ctx context.Context, c *clientv3.Client) error {
	s, err := waiters(c, "g-deadline")
	if err != nil {
		return err
	}
	defer s.Close()
	conn, err := wire(c)
	if err != nil {
		return err
	}
	defer conn.Close()
	short, cancel := context.WithTimeout(ctx, 300*time.Millisecond)
	defer cancel()
	// The lock service waits on the server, for as long as the deadline in grpc-timeout lets it.
	err = conn.Invoke(short, "/v3lockpb.Lock/Lock", &pb.PutRequest{Key: []byte("g-deadline")}, &pb.LeaseGrantResponse{})
	if status.Code(err) != codes.DeadlineExceeded {
		return fmt.Errorf("deadline: %v", err)
	}
	return queueOf(ctx, c, "g-deadline", 1)
}

func cancellation(ctx context.Context, c *clientv3.Client) error {
	s, err := waiters(c, "g-cancel")
	if err != nil {
		return err
	}
	defer s.Close()
	conn, err := wire(c)
	if err != nil {
		return err
	}
	defer conn.Close()
	inner, cancel := context.WithCancel(ctx)
	done := make(chan error, 1)
	go func() {
		done <- conn.Invoke(inner, "/v3lockpb.Lock/Lock", &pb.PutRequest{Key: []byte("g-cancel")}, &pb.LeaseGrantResponse{})
	}()
	if err := queueOf(ctx, c, "g-cancel", 2); err != nil {
		cancel()
		return err
	}
	cancel()
	if err := <-done; status.Code(err) != codes.Canceled {
		return fmt.Errorf("cancelled: %v", err)
	}
	if err := queueOf(ctx, c, "g-cancel", 1); err != nil {
		return err
	}
	// Calls broken off in the middle of large answers leave the connection in order.
	for i := 0; i < 8; i++ {
		if _, err := c.Put(ctx, fmt.Sprintf("cut/%d", i), strings.Repeat("v", 1000*1000)); err != nil {
			return err
		}
	}
	kv := pb.NewKVClient(conn)
	all := &pb.RangeRequest{Key: []byte("cut/"), RangeEnd: []byte("cut0")}
	for i := 0; i < 20; i++ {
		cut, cancel := context.WithTimeout(ctx, time.Duration(i)*time.Millisecond)
		_, _ = kv.Range(cut, all)
		cancel()
	}
	r, err := kv.Range(ctx, all)
	if err != nil {
		return err
	}
	return want(len(r.Kvs) == 8, "%d keys after cancellations", len(r.Kvs))
}

func compression(ctx context.Context, c *clientv3.Client) error {
	conn, err := wire(c, grpc.UseCompressor("gzip"))
	if err != nil {
		return err
	}
	defer conn.Close()
	kv := pb.NewKVClient(conn)
	value := []byte(strings.Repeat("compressible ", 50000))
	if _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("zip"), Value: value}); err != nil {
		return err
	}
	r, err := kv.Range(ctx, &pb.RangeRequest{Key: []byte("zip")})
	if err != nil {
		return err
	}
	if err := want(string(r.Kvs[0].Value) == string(value), "value of %d bytes", len(r.Kvs[0].Value)); err != nil {
		return err
	}
	if _, err := kv.Put(ctx, &pb.PutRequest{}); status.Code(err) != codes.InvalidArgument {
		return fmt.Errorf("empty key: %v", err)
	}
	w, err := pb.NewWatchClient(conn).Watch(ctx)
	if err != nil {
		return err
	}
	create := &pb.WatchRequest_CreateRequest{CreateRequest: &pb.WatchCreateRequest{Key: []byte("zip")}}
	if err := w.Send(&pb.WatchRequest{RequestUnion: create}); err != nil {
		return err
	}
	if m, err := w.Recv(); err != nil || !m.Created {
		return fmt.Errorf("created: %v %v", m, err)
	}
	if _, err := kv.Put(ctx, &pb.PutRequest{Key: []byte("zip"), Value: []byte("again")}); err != nil {
		return err
	}
	m, err := w.Recv()
	if err != nil {
		return err
	}
	return want(len(m.Events) == 1 && string(m.Events[0].Kv.Value) == "again", "event %v", m)
}

// heads sends much metadata and looks at what comes back: an error is trailers alone.
func heads(ctx context.Context, c *clientv3.Client) error {
	conn, err := wire(c)
	if err != nil {
		return err
	}
	defer conn.Close()
	kv := pb.NewKVClient(conn)
	md := metadata.Pairs("hasleader", "true", "trace-bin", "\x00\x01\xff\xfe")
	for i := 0; i < 40; i++ {
		md.Append(fmt.Sprintf("x-%d", i), strings.Repeat("v", i*5))
	}
	out := metadata.NewOutgoingContext(ctx, md)
	for i := 0; i < 100; i++ {
		if _, err := kv.Put(out, &pb.PutRequest{Key: []byte("md"), Value: []byte("x")}); err != nil {
			return err
		}
	}
	var header, trailer metadata.MD
	if _, err := kv.Put(out, &pb.PutRequest{}, grpc.Header(&header), grpc.Trailer(&trailer)); status.Code(err) != codes.InvalidArgument {
		return fmt.Errorf("empty key: %v", err)
	}
	if err := conn.Invoke(out, "/etcdserverpb.KV/Nothing", &pb.PutRequest{}, &pb.PutResponse{}); status.Code(err) != codes.Unimplemented {
		return fmt.Errorf("unknown method: %v", err)
	}
	return nil
}

// goaway writes while the member ends in good order and comes back: nothing but Unavailable, and nothing acknowledged is lost.
func goaway(ctx context.Context, c *clientv3.Client) error {
	conn, err := wire(c)
	if err != nil {
		return err
	}
	defer conn.Close()
	kv := pb.NewKVClient(conn)
	var done sync.WaitGroup
	var stop atomic.Bool
	var count atomic.Int64
	last := make([]int, 8)
	wrong := make(chan error, 8)
	for w := range last {
		done.Go(func() {
			for i := 1; !stop.Load(); i++ {
				_, err := kv.Put(ctx, &pb.PutRequest{Key: fmt.Appendf(nil, "goaway/%d", w), Value: fmt.Append(nil, i)})
				switch {
				case err == nil:
					last[w] = i
					count.Add(1)
				case status.Code(err) != codes.Unavailable:
					wrong <- err
					return
				default:
					time.Sleep(10 * time.Millisecond)
				}
			}
		})
	}
	reach := func(n int64) error {
		for count.Load() < n {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			time.Sleep(10 * time.Millisecond)
		}
		return nil
	}
	err = reach(200)
	if err == nil {
		fmt.Println("restart in order")
		if _, err = stdin.ReadString('\n'); err == nil {
			err = reach(count.Load() + 200)
		}
	}
	stop.Store(true)
	done.Wait()
	select {
	case err = <-wrong:
	default:
	}
	if err != nil {
		return err
	}
	for w := range last {
		g, err := c.Get(ctx, fmt.Sprintf("goaway/%d", w))
		if err != nil {
			return err
		}
		value := 0
		fmt.Sscan(string(g.Kvs[0].Value), &value)
		if value < last[w] {
			return fmt.Errorf("%d after %d was acknowledged", value, last[w])
		}
	}
	return nil
}
