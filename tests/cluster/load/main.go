// SPDX-License-Identifier: GPL-3.0-or-later

// load sends requests at a constant rate, each over a new connection, because kube-proxy balances connections. With -grpc each is a call of
// gRPC's own client.
//
// It ends after -duration, after -requests, or on SIGTERM or SIGINT, and prints one JSON object on stdout. With -live it also prints one
// line of JSON for each second that has passed.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"sync"
	"syscall"
	"time"
)

// A request that starts so much later than planned says that this machine, not the service, is too slow.
const lateness = 50 * time.Millisecond

type options struct {
	url       string
	host      string
	header    string
	rate      float64
	requests  int
	duration  time.Duration
	timeout   time.Duration
	slow      time.Duration
	keepAlive bool
	grpc      bool
	live      bool
}

// ask sends one request and tells what came of it.
type ask func() result

func main() {
	var o options
	flag.StringVar(&o.url, "url", "", "what to request")
	flag.StringVar(&o.host, "host", "", "the Host header (default: that of the url)")
	flag.StringVar(&o.header, "header", "", "one more header, NAME: VALUE")
	flag.Float64Var(&o.rate, "rate", 200, "requests per second")
	flag.IntVar(&o.requests, "requests", 0, "how many in all (0: no limit)")
	flag.DurationVar(&o.duration, "duration", 0, "how long (0: until SIGTERM)")
	flag.DurationVar(&o.timeout, "timeout", 2*time.Second, "of one request")
	flag.DurationVar(&o.slow, "slow", 0, "answers that took longer are counted apart (0: none)")
	flag.BoolVar(&o.keepAlive, "keep-alive", false, "use connections again")
	flag.BoolVar(&o.grpc, "grpc", false, "call the method that is the path of the url")
	flag.BoolVar(&o.live, "live", false, "one line of JSON each second")
	flag.Parse()
	if o.url == "" || o.rate <= 0 {
		fmt.Fprintln(os.Stderr, "load: -url is required and -rate must be above 0")
		os.Exit(2)
	}
	once, err := o.asking()
	if err != nil {
		fmt.Fprintln(os.Stderr, "load:", err)
		os.Exit(2)
	}
	ctx, cancel := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer cancel()
	if o.duration > 0 {
		ctx, cancel = context.WithTimeout(ctx, o.duration)
		defer cancel()
	}
	total := newTally()
	send(ctx, o, once, total)
	encoder := json.NewEncoder(os.Stdout)
	if !o.live {
		encoder.SetIndent("", " ")
	}
	encoder.Encode(total.report())
}

// send returns when the context has ended and every request under way has been answered.
func send(ctx context.Context, o options, once ask, total *tally) {
	started, second := time.Now(), newTally()
	if o.live {
		ticker := time.NewTicker(time.Second)
		defer ticker.Stop()
		go func() {
			for range ticker.C {
				json.NewEncoder(os.Stdout).Encode(second.line(time.Since(started)))
			}
		}()
	}
	var underWay sync.WaitGroup
	defer underWay.Wait()
	for n := 0; o.requests == 0 || n < o.requests; n++ {
		planned := started.Add(time.Duration(float64(n) / o.rate * float64(time.Second)))
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(planned)):
		}
		late := time.Since(planned) > lateness
		underWay.Add(1)
		go func() {
			defer underWay.Done()
			result := once()
			result.late, result.slow = late, o.slow > 0 && result.took > o.slow
			total.add(result)
			second.add(result)
		}()
	}
}

// asking is what is sent each time; it has no body, so that it can be sent at the same time again.
func (o options) asking() (ask, error) {
	sent, err := http.NewRequest(http.MethodGet, o.url, nil)
	if err != nil {
		return nil, err
	}
	sent.Host = o.host
	if name, value, given := strings.Cut(o.header, ": "); given {
		sent.Header.Set(name, value)
	} else if o.header != "" {
		return nil, fmt.Errorf("-header %q is not NAME: VALUE", o.header)
	}
	if o.grpc {
		return o.calling(sent), nil
	}
	client := &http.Client{Timeout: o.timeout, Transport: &http.Transport{DisableKeepAlives: !o.keepAlive, MaxIdleConnsPerHost: 64}}
	return func() result { return request(client, sent) }, nil
}

func request(client *http.Client, sent *http.Request) result {
	began := time.Now()
	answer, err := client.Do(sent.Clone(context.Background()))
	if err == nil {
		_, err = io.Copy(io.Discard, answer.Body)
		answer.Body.Close()
	}
	if os.IsTimeout(err) {
		return result{err: fmt.Sprintf("no answer within %v", client.Timeout)}
	}
	if err != nil {
		return result{err: err.Error()}
	}
	return result{code: answer.StatusCode, version: answer.Header.Get("X-Version"), pod: answer.Header.Get("X-Pod"), took: time.Since(began)}
}
