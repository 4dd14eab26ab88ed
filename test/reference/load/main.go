// Load makes the loads that etcd's benchmark tool has not: filling a store, paging through it, an acknowledged-write journal, big ranges.
//
//	load -endpoints E fill  -keys N -key-size 32 -val-size 256 -leases N
//	load -endpoints E page  -limit 500
//	load -endpoints E journal -clients 8     one line "KEY VALUE REVISION" for every acknowledged put, until standard input closes
//	load -endpoints E bigrange -keys N       one range of N keys, 5 times
//	load -endpoints E txn -total N -clients C -conns K    4-operation transactions: 2 puts, 1 range, 1 delete
//	load -endpoints E watch-latency -total N -rate R      one client's puts, from the call to the event at a watcher on another connection
//
// With -cacert FILE over TLS.
package main

import (
	"bufio"
	"context"
	"crypto/tls"
	"crypto/x509"
	"flag"
	"fmt"
	"io"
	"math/rand"
	"os"
	"sort"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	clientv3 "go.etcd.io/etcd/client/v3"
	"google.golang.org/grpc/grpclog"
)

var (
	endpoints = flag.String("endpoints", "127.0.0.1:2379", "comma separated")
	cacert    = flag.String("cacert", "", "authority of the members' certificates")
)

func tlsConfig() *tls.Config {
	if *cacert == "" {
		return nil
	}
	pem, err := os.ReadFile(*cacert)
	if err != nil {
		fatal(err)
	}
	pool := x509.NewCertPool()
	pool.AppendCertsFromPEM(pem)
	return &tls.Config{RootCAs: pool}
}

func dial(n int) []*clientv3.Client {
	out := make([]*clientv3.Client, n)
	for i := range out {
		c, err := clientv3.New(clientv3.Config{
			Endpoints:          strings.Split(*endpoints, ","),
			DialTimeout:        5 * time.Second,
			MaxCallRecvMsgSize: 1 << 30,
			TLS:                tlsConfig(),
		})
		if err != nil {
			fatal(err)
		}
		out[i] = c
	}
	return out
}

func fatal(err error) {
	fmt.Fprintln(os.Stderr, "load:", err)
	os.Exit(1)
}

func main() {
	grpclog.SetLoggerV2(grpclog.NewLoggerV2(io.Discard, io.Discard, io.Discard))
	flag.Parse()
	args := flag.Args()
	if len(args) == 0 {
		fatal(fmt.Errorf("which load?"))
	}
	fs := flag.NewFlagSet(args[0], flag.ExitOnError)
	keys := fs.Int("keys", 1000000, "")
	keySize := fs.Int("key-size", 32, "")
	valSize := fs.Int("val-size", 256, "")
	leases := fs.Int("leases", 0, "that many of the keys get a lease of their own")
	limit := fs.Int64("limit", 500, "")
	clients := fs.Int("clients", 8, "")
	conns := fs.Int("conns", 1, "")
	total := fs.Int("total", 10000, "")
	rate := fs.Int("rate", 500, "calls a second")
	_ = fs.Parse(args[1:])
	start := time.Now()
	switch args[0] {
	case "fill":
		fill(*keys, *keySize, *valSize, *leases)
	case "page":
		n := page(*limit)
		fmt.Printf("keys %d\n", n)
	case "journal":
		journal(*clients)
	case "bigrange":
		bigrange(int64(*keys))
	case "txn":
		txns(*total, *clients, *conns)
	case "watch-latency":
		watchLatency(*total, *rate)
	default:
		fatal(fmt.Errorf("unknown load %q", args[0]))
	}
	fmt.Printf("seconds %.3f\n", time.Since(start).Seconds())
}

func keyOf(i, size int) string { return fmt.Sprintf("%0*d", size, i) }

func fill(keys, keySize, valSize, leases int) {
	c := dial(4)
	val := make([]byte, valSize)
	rand.New(rand.NewSource(1)).Read(val)
	var next atomic.Int64
	var wg sync.WaitGroup
	const batch = 100
	for w := 0; w < 32; w++ {
		wg.Add(1)
		go func(c *clientv3.Client) {
			defer wg.Done()
			for {
				from := int(next.Add(batch)) - batch
				if from >= keys {
					return
				}
				ops := make([]clientv3.Op, 0, batch)
				for i := from; i < from+batch && i < keys; i++ {
					var opts []clientv3.OpOption
					if i < leases {
						l, err := c.Grant(context.Background(), 100000)
						if err != nil {
							fatal(err)
						}
						opts = append(opts, clientv3.WithLease(l.ID))
					}
					ops = append(ops, clientv3.OpPut(keyOf(i, keySize), string(val), opts...))
				}
				if _, err := c.Txn(context.Background()).Then(ops...).Commit(); err != nil {
					fatal(err)
				}
			}
		}(c[w%len(c)])
	}
	wg.Wait()
}

func page(limit int64) int {
	c := dial(1)[0]
	key := "\x00"
	n := 0
	var rev int64
	for {
		r, err := c.Get(context.Background(), key, clientv3.WithFromKey(), clientv3.WithLimit(limit), clientv3.WithRev(rev))
		if err != nil {
			fatal(err)
		}
		if rev == 0 {
			rev = r.Header.Revision
		}
		n += len(r.Kvs)
		if !r.More {
			return n
		}
		key = string(r.Kvs[len(r.Kvs)-1].Key) + "\x00"
	}
}

func bigrange(keys int64) {
	c := dial(1)[0]
	var took []float64
	for i := 0; i < 5; i++ {
		t := time.Now()
		r, err := c.Get(context.Background(), "\x00", clientv3.WithFromKey(), clientv3.WithLimit(keys))
		if err != nil {
			fatal(err)
		}
		if int64(len(r.Kvs)) != keys {
			fatal(fmt.Errorf("%d keys", len(r.Kvs)))
		}
		took = append(took, time.Since(t).Seconds())
	}
	sort.Float64s(took)
	fmt.Printf("median %.4f\n", took[len(took)/2])
}

// Journal writes until standard input closes. An unacknowledged put is tried again with a new value, so a line always stands for one acknowledged write.
func journal(clients int) {
	out := bufio.NewWriter(os.Stdout)
	var mu sync.Mutex
	ctx, cancel := context.WithCancel(context.Background())
	go func() {
		_, _ = io.Copy(io.Discard, os.Stdin)
		cancel()
	}()
	var wg sync.WaitGroup
	for w := 0; w < clients; w++ {
		wg.Add(1)
		go func(w int) {
			defer wg.Done()
			c := dial(1)[0]
			defer c.Close()
			for i := 0; ctx.Err() == nil; i++ {
				key, value := fmt.Sprintf("journal/%d/%d", w, i%50), fmt.Sprintf("%d-%d", w, i)
				pctx, done := context.WithTimeout(ctx, 3*time.Second)
				r, err := c.Put(pctx, key, value)
				done()
				if err != nil {
					time.Sleep(10 * time.Millisecond)
					continue
				}
				mu.Lock()
				fmt.Fprintf(out, "%s %s %d\n", key, value, r.Header.Revision)
				_ = out.Flush()
				mu.Unlock()
			}
		}(w)
	}
	wg.Wait()
}

func txns(total, clients, conns int) {
	cs := dial(conns)
	var next atomic.Int64
	var wg sync.WaitGroup
	lat := make([][]float64, clients)
	start := time.Now()
	val := strings.Repeat("v", 256)
	for w := 0; w < clients; w++ {
		wg.Add(1)
		go func(w int) {
			defer wg.Done()
			c := cs[w%len(cs)]
			for {
				i := next.Add(1)
				if i > int64(total) {
					return
				}
				t := time.Now()
				k := fmt.Sprintf("txn%05d", i%10000)
				_, err := c.Txn(context.Background()).If(clientv3.Compare(clientv3.Version(k), ">", -1)).
					Then(clientv3.OpPut(k, val), clientv3.OpPut(k+"b", val), clientv3.OpGet(k), clientv3.OpDelete(k+"c")).Commit()
				if err != nil {
					fatal(err)
				}
				lat[w] = append(lat[w], time.Since(t).Seconds())
			}
		}(w)
	}
	wg.Wait()
	took := time.Since(start).Seconds()
	report(lat, took, clients)
}

// Report prints rate and percentiles as etcd's benchmark tool does.
func report(latencies [][]float64, took float64, clients int) {
	var all []float64
	for _, l := range latencies {
		all = append(all, l...)
	}
	sort.Float64s(all)
	n := float64(len(all))
	fmt.Printf("Requests/sec: %.1f\nAverage: %.6f\n50%% in %.6f secs.\n99%% in %.6f secs.\n", n/took, took/n*float64(clients), all[len(all)/2], all[len(all)*99/100])
}

func watchLatency(total, rate int) {
	cs := dial(2)
	started := make([]time.Time, total)
	lat := make([]float64, 0, total)
	events := cs[1].Watch(clientv3.WithRequireLeader(context.Background()), "latency/", clientv3.WithPrefix(), clientv3.WithCreatedNotify())
	<-events
	done := make(chan struct{})
	var mu sync.Mutex
	go func() {
		defer close(done)
		for r := range events {
			if r.Err() != nil {
				fatal(r.Err())
			}
			now := time.Now()
			mu.Lock()
			for range r.Events {
				lat = append(lat, now.Sub(started[len(lat)]).Seconds())
			}
			n := len(lat)
			mu.Unlock()
			if n == total {
				return
			}
		}
	}()
	val := strings.Repeat("v", 256)
	begun := time.Now()
	for i := 0; i < total; i++ {
		if due := begun.Add(time.Duration(i) * time.Second / time.Duration(rate)); time.Until(due) > 0 {
			time.Sleep(time.Until(due))
		}
		mu.Lock()
		started[i] = time.Now()
		mu.Unlock()
		if _, err := cs[0].Put(context.Background(), fmt.Sprintf("latency/%d", i%100), val); err != nil {
			fatal(err)
		}
	}
	<-done
	report([][]float64{lat}, time.Since(begun).Seconds(), 1)
}
