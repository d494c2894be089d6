// SPDX-License-Identifier: GPL-3.0-or-later

package demo

import (
	"encoding/json"
	"fmt"
	"io"
	"math/rand"
	"net/http"
	"strings"
	"sync"
	"time"
)

// Service answers as one pod: "/" serves, "/healthz" is for the readiness probe, "/metrics" for Prometheus.
type Service struct {
	Settings
	started time.Time
	metrics *metrics
	mux     *http.ServeMux
	mu      sync.Mutex
	log     *json.Encoder
}

// New starts the clock of a service; it writes one line of JSON for each request to log.
func New(settings Settings, log io.Writer) *Service {
	s := &Service{Settings: settings, started: time.Now(), metrics: newMetrics(settings.Version), mux: http.NewServeMux(), log: json.NewEncoder(log)}
	s.mux.HandleFunc("/", s.serve)
	s.mux.HandleFunc("/healthz", s.health)
	s.mux.HandleFunc("/metrics", s.metrics.serve)
	return s
}

func (s *Service) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.mux.ServeHTTP(w, r) }

// Ready tells whether the readiness probe succeeds now.
func (s *Service) Ready() bool {
	age := time.Since(s.started)
	return !s.NeverReady && age >= s.Startup && (s.Unready == 0 || age < s.Unready)
}

// Log writes one line of JSON that also carries time and version.
func (s *Service) Log(level string, fields map[string]any) {
	line := map[string]any{"ts": time.Now().UTC().Format(time.RFC3339Nano), "level": level, "version": s.Version}
	for name, value := range fields {
		line[name] = value
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.log.Encode(line)
}

func (s *Service) serve(w http.ResponseWriter, r *http.Request) {
	began, code, level := time.Now(), http.StatusOK, "info"
	time.Sleep(s.Latency)
	burn(s.Work)
	if time.Since(s.started) >= s.ErrorAfter && rand.Float64() < s.ErrorRate {
		code, level = http.StatusInternalServerError, "error"
	}
	w.Header().Set("X-Version", s.Version)
	w.Header().Set("X-Pod", s.Pod)
	if strings.HasPrefix(r.Header.Get("Content-Type"), "application/grpc") {
		s.returns(w, r, code)
	} else {
		w.WriteHeader(code)
		fmt.Fprintln(w, s.Version)
	}
	took := time.Since(began)
	s.metrics.observe(code, took)
	s.Log(level, map[string]any{"path": r.URL.Path, "code": code, "ms": float64(took.Microseconds()) / 1000})
}

// returns answers a unary call of any method with an empty message: one byte that says that it is not compressed, and four of its length.
// The status is a trailer, 0 for OK and 13 for an internal error. Source: PROTOCOL-HTTP2.md, grpc/grpc.
func (s *Service) returns(w http.ResponseWriter, r *http.Request, code int) {
	io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/grpc")
	status := "0"
	if code != http.StatusOK {
		status = "13"
	} else {
		w.Write(make([]byte, 5))
	}
	w.Header().Set(http.TrailerPrefix+"Grpc-Status", status)
}

func (s *Service) health(w http.ResponseWriter, _ *http.Request) {
	ready := s.Ready()
	if !ready {
		w.WriteHeader(http.StatusServiceUnavailable)
	}
	fmt.Fprintln(w, s.Version, ready)
}

func burn(work time.Duration) {
	for end := time.Now().Add(work); work > 0 && time.Now().Before(end); {
		rand.Float64()
	}
}
