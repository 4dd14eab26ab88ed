// Kubeload uses a member as a Kubernetes control plane does: nodes that keep leases alive, pods created by transactions that want the key
// absent, watchers that list by RangeStream and watch on from there with bookmarks, updates that compare the revision, compaction behind.
// Every watcher must end with exactly the state of the store. Prints one JSON object of figures, or fails.
package main

import (
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
)

const prefix = "/registry/pods/"

var (
	endpoints = flag.String("endpoints", "127.0.0.1:2379", "comma separated")
	pods      = flag.Int("pods", 5000, "keys")
	watchers  = flag.Int("watchers", 100, "that list and watch all of them")
	nodes     = flag.Int("nodes", 200, "leases that are kept alive, each with a key")
	rounds    = flag.Int("updates", 3, "of each pod")
	workers   = flag.Int("workers", 32, "that write at a time")
	size      = flag.Int("size", 2048, "bytes of a pod")
	every     = flag.Int64("compact", 5000, "revisions between compactions; each goes to where the store was at the one before")
	patience  = flag.Duration("timeout", 5*time.Minute, "for everything")
)

// times collects durations of one kind of operation.
type times struct {
	mu  sync.Mutex
	all []time.Duration
}

func (t *times) add(d time.Duration) {
	t.mu.Lock()
	t.all = append(t.all, d)
	t.mu.Unlock()
}

func (t *times) at(share float64) float64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	if len(t.all) == 0 {
		return 0
	}
	slices.Sort(t.all)
	return float64(t.all[min(len(t.all)-1, int(share*float64(len(t.all))))].Microseconds()) / 1000
}

func pod(i int) string { return fmt.Sprintf("%snamespace-%d/pod-%05d", prefix, i%50, i) }

// body is a pod's value; its first bytes say when it was written.
func body() string {
	b := make([]byte, *size)
	for i := 8; i < len(b); i++ {
		b[i] = byte('a' + rand.IntN(26))
	}
	binary.BigEndian.PutUint64(b, uint64(time.Now().UnixNano()))
	return string(b)
}

// watcher is what an informer keeps: the revision of every pod.
type watcher struct {
	c     *clientv3.Client
	state map[string]int64
	at    atomic.Int64
	lists int
}

func (w *watcher) list(ctx context.Context, took *times) error {
	began := time.Now()
	w.state = map[string]int64{}
	stream, err := w.c.GetStream(ctx, prefix, clientv3.WithPrefix())
	if err != nil {
		return err
	}
	revision := int64(0)
	for part := range stream {
		if part.Err() != nil {
			return part.Err()
		}
		if part.Header != nil {
			revision = part.Header.Revision
		}
		for _, kv := range part.Kvs {
			w.state[string(kv.Key)] = kv.ModRevision
		}
	}
	if revision == 0 {
		return errors.New("a list without a revision")
	}
	w.lists++
	w.at.Store(revision)
	took.add(time.Since(began))
	return nil
}

// run lists, then follows until the context ends; a revision that is compacted away makes it list again.
func (w *watcher) run(ctx context.Context, lists, lag *times, events, bookmarks *atomic.Int64) error {
	for {
		if err := w.list(ctx, lists); err != nil {
			return err
		}
		ch := w.c.Watch(clientv3.WithRequireLeader(ctx), prefix, clientv3.WithPrefix(), clientv3.WithRev(w.at.Load()+1), clientv3.WithPrevKV(),
			clientv3.WithProgressNotify())
		for r := range ch {
			if r.CompactRevision > 0 {
				break
			}
			if r.Err() != nil {
				if ctx.Err() != nil {
					return nil
				}
				return r.Err()
			}
			if r.IsProgressNotify() {
				bookmarks.Add(1)
				if r.Header.Revision < w.at.Load() {
					return fmt.Errorf("bookmark %d behind event %d", r.Header.Revision, w.at.Load())
				}
				w.at.Store(r.Header.Revision)
				continue
			}
			for i, e := range r.Events {
				if e.Kv.ModRevision < w.at.Load() {
					return fmt.Errorf("event of revision %d behind %d", e.Kv.ModRevision, w.at.Load())
				}
				key := string(e.Kv.Key)
				if before := w.state[key]; (e.PrevKv == nil && before != 0) || (e.PrevKv != nil && e.PrevKv.ModRevision != before) {
					return fmt.Errorf("%s: event over %v, known %d", key, e.PrevKv, before)
				}
				if e.Type == clientv3.EventTypeDelete {
					delete(w.state, key)
				} else {
					w.state[key] = e.Kv.ModRevision
					if i == 0 {
						lag.add(time.Duration(time.Now().UnixNano() - int64(binary.BigEndian.Uint64(e.Kv.Value))))
					}
				}
				w.at.Store(e.Kv.ModRevision)
			}
			events.Add(int64(len(r.Events)))
		}
		if ctx.Err() != nil {
			return nil
		}
	}
}

// parallel gives the numbers below n to the workers; its result is the rate per second.
func parallel(n int, do func(i int) error) (float64, error) {
	began := time.Now()
	var next atomic.Int64
	errs := make(chan error, *workers)
	for range *workers {
		go func() {
			for {
				i := int(next.Add(1)) - 1
				if i >= n {
					errs <- nil
					return
				}
				if err := do(i); err != nil {
					next.Store(int64(n))
					errs <- err
					return
				}
			}
		}()
	}
	var wrong error
	for range *workers {
		if err := <-errs; err != nil {
			wrong = err
		}
	}
	return float64(n) / time.Since(began).Seconds(), wrong
}

func load() (map[string]any, error) {
	ctx, cancel := context.WithTimeout(context.Background(), *patience)
	defer cancel()
	clients := make([]*clientv3.Client, 10)
	for i := range clients {
		c, err := clientv3.New(clientv3.Config{Endpoints: strings.Split(*endpoints, ","), DialTimeout: 10 * time.Second})
		if err != nil {
			return nil, err
		}
		defer c.Close()
		clients[i] = c
	}
	c := clients[0]
	out := map[string]any{"pods": *pods, "watchers": *watchers, "nodes": *nodes}

	// Nodes.
	var kept atomic.Int64
	if _, err := parallel(*nodes, func(i int) error {
		c := clients[i%len(clients)]
		lease, err := c.Grant(ctx, 40)
		if err != nil {
			return err
		}
		if _, err := c.Put(ctx, fmt.Sprintf("/registry/leases/node-%d", i), "here", clientv3.WithLease(lease.ID)); err != nil {
			return err
		}
		go func() {
			for ctx.Err() == nil {
				if _, err := c.KeepAliveOnce(ctx, lease.ID); err == nil {
					kept.Add(1)
				}
				time.Sleep(time.Second)
			}
		}()
		return nil
	}); err != nil {
		return nil, err
	}

	// Compaction follows the store at a distance.
	var newest, compactions atomic.Int64
	done := make(chan error, 1)
	stop := make(chan struct{})
	go func() {
		mark := int64(0)
		for {
			select {
			case <-stop:
				done <- nil
				return
			case <-time.After(50 * time.Millisecond):
			}
			if now := newest.Load(); now-mark >= *every {
				if mark > 0 {
					if _, err := c.Compact(ctx, mark); err != nil {
						done <- err
						return
					}
					compactions.Add(1)
				}
				mark = now
			}
		}
	}()
	seen := func(revision int64) {
		for {
			old := newest.Load()
			if old >= revision || newest.CompareAndSwap(old, revision) {
				return
			}
		}
	}

	// Half of the pods are there before the watchers are.
	var creates, updates, lists, lag times
	revisions := make([]atomic.Int64, *pods)
	create := func(i int) error {
		began := time.Now()
		r, err := clients[i%len(clients)].Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(pod(i)), "=", 0)).Then(clientv3.OpPut(pod(i), body())).Commit()
		if err != nil {
			return err
		}
		if !r.Succeeded {
			return fmt.Errorf("%s was there", pod(i))
		}
		creates.add(time.Since(began))
		revisions[i].Store(r.Header.Revision)
		seen(r.Header.Revision)
		return nil
	}
	rate, err := parallel(*pods/2, create)
	if err != nil {
		return nil, err
	}
	out["createsPerSecond"] = int(rate)

	var events, bookmarks atomic.Int64
	all := make([]*watcher, *watchers)
	failed := make(chan error, *watchers)
	wctx, unwatch := context.WithCancel(ctx)
	defer unwatch()
	for i := range all {
		all[i] = &watcher{c: clients[i%len(clients)]}
		go func() { failed <- all[i].run(wctx, &lists, &lag, &events, &bookmarks) }()
	}
	// The other half while they list.
	if _, err := parallel(*pods-*pods/2, func(i int) error { return create(*pods/2 + i) }); err != nil {
		return nil, err
	}
	out["createP99Ms"] = creates.at(0.99)

	// Updates compare the revision; one in ten is tried with a stale one and reads in its else branch.
	var conflicts atomic.Int64
	rate, err = parallel(*pods**rounds, func(n int) error {
		i := n % *pods
		known := revisions[i].Load()
		if n%10 == 0 {
			known--
		}
		for {
			began := time.Now()
			r, err := clients[n%len(clients)].Txn(ctx).If(clientv3.Compare(clientv3.ModRevision(pod(i)), "=", known)).Then(clientv3.OpPut(pod(i), body())).
				Else(clientv3.OpGet(pod(i))).Commit()
			if err != nil {
				return err
			}
			updates.add(time.Since(began))
			if r.Succeeded {
				revisions[i].Store(r.Header.Revision)
				seen(r.Header.Revision)
				return nil
			}
			conflicts.Add(1)
			known = r.Responses[0].GetResponseRange().Kvs[0].ModRevision
		}
	})
	if err != nil {
		return nil, err
	}
	out["updatesPerSecond"], out["updateP50Ms"], out["updateP99Ms"], out["conflicts"] = int(rate), updates.at(0.5), updates.at(0.99), conflicts.Load()
	if _, err := parallel(*pods/10, func(i int) error {
		r, err := c.Delete(ctx, pod(i*10))
		if err == nil {
			seen(r.Header.Revision)
		}
		return err
	}); err != nil {
		return nil, err
	}

	// Everyone arrives: by events, or by a bookmark where the last revision was not a pod's.
	if _, err := c.Put(ctx, "/registry/other", "x"); err != nil {
		return nil, err
	}
	final, err := c.Get(ctx, prefix, clientv3.WithPrefix(), clientv3.WithKeysOnly())
	if err != nil {
		return nil, err
	}
	for _, w := range all {
		for w.at.Load() < final.Header.Revision {
			select {
			case err := <-failed:
				return nil, fmt.Errorf("a watcher ended: %w", err)
			case <-ctx.Done():
				return nil, fmt.Errorf("a watcher stays at %d, the store is at %d", w.at.Load(), final.Header.Revision)
			case <-time.After(100 * time.Millisecond):
				_ = w.c.RequestProgress(clientv3.WithRequireLeader(wctx))
			}
		}
	}
	unwatch()
	for range all {
		if err := <-failed; err != nil {
			return nil, err
		}
	}
	total := 0
	for _, w := range all {
		if len(w.state) != len(final.Kvs) {
			return nil, fmt.Errorf("a watcher knows %d pods of %d", len(w.state), len(final.Kvs))
		}
		for _, kv := range final.Kvs {
			if w.state[string(kv.Key)] != kv.ModRevision {
				return nil, fmt.Errorf("a watcher has %s at %d instead of %d", kv.Key, w.state[string(kv.Key)], kv.ModRevision)
			}
		}
		total += w.lists
	}
	close(stop)
	if err := <-done; err != nil {
		return nil, err
	}
	here, err := c.Get(ctx, "/registry/leases/", clientv3.WithPrefix(), clientv3.WithCountOnly())
	if err != nil {
		return nil, err
	}
	if here.Count != int64(*nodes) {
		return nil, fmt.Errorf("%d nodes of %d", here.Count, *nodes)
	}
	out["lists"], out["listP50Ms"], out["listP99Ms"] = total, lists.at(0.5), lists.at(0.99)
	out["events"], out["bookmarks"], out["eventLagP50Ms"], out["eventLagP99Ms"] = events.Load(), bookmarks.Load(), lag.at(0.5), lag.at(0.99)
	out["compactions"], out["keptAlive"] = compactions.Load(), kept.Load()
	return out, nil
}

func main() {
	flag.Parse()
	began := time.Now()
	out, err := load()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	out["seconds"] = float64(time.Since(began).Milliseconds()) / 1000
	line, _ := json.Marshal(out)
	fmt.Println(string(line))
}
