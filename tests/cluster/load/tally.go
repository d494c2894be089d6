// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"slices"
	"sync"
	"time"
)

// result is one request: an error without an answer, or the answer's code and where it came from.
type result struct {
	err, version, pod string
	code              int
	took              time.Duration
	late, slow        bool
}

func (r result) failed() bool { return r.err != "" || r.code >= 500 }

// tally counts results; several goroutines may add to it.
type tally struct {
	mu       sync.Mutex
	sent     int
	late     int
	slow     int
	failed   int
	codes    map[int]int
	versions map[string]int
	refused  map[string]int // failed answers by version
	pods     map[string]int
	errors   map[string]int
	took     []float64 // milliseconds
}

func newTally() *tally {
	t := &tally{}
	t.reset()
	return t
}

func (t *tally) reset() {
	t.sent, t.late, t.slow, t.failed, t.took = 0, 0, 0, 0, nil
	t.codes, t.versions, t.refused = map[int]int{}, map[string]int{}, map[string]int{}
	t.pods, t.errors = map[string]int{}, map[string]int{}
}

func (t *tally) add(r result) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.sent++
	if r.late {
		t.late++
	}
	if r.slow {
		t.slow++
	}
	if r.failed() {
		t.failed++
	}
	if r.err != "" {
		t.errors[r.err]++
		return
	}
	t.codes[r.code]++
	t.versions[r.version]++
	t.pods[r.pod]++
	t.took = append(t.took, float64(r.took.Microseconds())/1000)
	if r.failed() {
		t.refused[r.version]++
	}
}

// report is everything since the start.
func (t *tally) report() map[string]any {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.took)
	return map[string]any{
		"sent": t.sent, "late": t.late, "slow": t.slow, "failed": t.failed, "codes": t.codes, "versions": t.versions,
		"failed_by_version": t.refused, "pods": t.pods, "errors": t.errors,
		"latency_ms": map[string]float64{"p50": t.quantile(.5), "p99": t.quantile(.99), "max": t.quantile(1)},
	}
}

// line is what has been added since the line before.
func (t *tally) line(age time.Duration) map[string]any {
	t.mu.Lock()
	defer t.mu.Unlock()
	slices.Sort(t.took)
	line := map[string]any{
		"second": int(age.Seconds() + .5), "sent": t.sent, "failed": t.failed, "versions": t.versions,
		"failed_by_version": t.refused, "errors": len(t.errors), "p50_ms": t.quantile(.5), "p99_ms": t.quantile(.99),
	}
	t.reset()
	return line
}

func (t *tally) quantile(q float64) float64 {
	if len(t.took) == 0 {
		return 0
	}
	return t.took[int(q*float64(len(t.took)-1))]
}
