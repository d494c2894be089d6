// SPDX-License-Identifier: GPL-3.0-or-later

package demo

import (
	"fmt"
	"net/http"
	"slices"
	"sync"
	"time"
)

// The default buckets of Prometheus' client libraries, in seconds.
var buckets = []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10}

// metrics are one pod's counters, in Prometheus' text format 0.0.4.
type metrics struct {
	version string
	mu      sync.Mutex
	codes   map[int]uint64
	counts  []uint64 // one for each bucket, not cumulative, and one beyond the last
	seconds float64
}

func newMetrics(version string) *metrics {
	return &metrics{version: version, codes: map[int]uint64{}, counts: make([]uint64, len(buckets)+1)}
}

func (m *metrics) observe(code int, took time.Duration) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.codes[code]++
	m.seconds += took.Seconds()
	bucket, _ := slices.BinarySearch(buckets, took.Seconds())
	m.counts[bucket]++
}

func (m *metrics) serve(w http.ResponseWriter, _ *http.Request) {
	m.mu.Lock()
	defer m.mu.Unlock()
	w.Header().Set("Content-Type", "text/plain; version=0.0.4; charset=utf-8")
	fmt.Fprintf(w, "# HELP app_info The version that runs.\n# TYPE app_info gauge\napp_info{version=%q} 1\n", m.version)
	fmt.Fprint(w, "# HELP http_requests_total Requests answered, by status code.\n# TYPE http_requests_total counter\n")
	for code, count := range m.codes {
		fmt.Fprintf(w, "http_requests_total{code=\"%d\",version=%q} %d\n", code, m.version, count)
	}
	fmt.Fprint(w, "# HELP http_request_duration_seconds Time to answer.\n# TYPE http_request_duration_seconds histogram\n")
	total := uint64(0)
	for i, bound := range buckets {
		total += m.counts[i]
		fmt.Fprintf(w, "http_request_duration_seconds_bucket{version=%q,le=\"%g\"} %d\n", m.version, bound, total)
	}
	total += m.counts[len(buckets)]
	fmt.Fprintf(w, "http_request_duration_seconds_bucket{version=%q,le=\"+Inf\"} %d\n", m.version, total)
	fmt.Fprintf(w, "http_request_duration_seconds_sum{version=%q} %g\n", m.version, m.seconds)
	fmt.Fprintf(w, "http_request_duration_seconds_count{version=%q} %d\n", m.version, total)
}
