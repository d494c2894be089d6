// SPDX-License-Identifier: GPL-3.0-or-later

// Package demo is the application that the tests and the demonstration release: a web service whose faults are settings.
package demo

import (
	"fmt"
	"strconv"
	"time"
)

// Settings say how one pod behaves. Each comes from one variable of the container's environment.
type Settings struct {
	Version    string        // VERSION: told in every answer, log line and metric
	Pod        string        // HOSTNAME
	ErrorRate  float64       // ERROR_RATE: share of requests answered with 500, 0 to 1
	ErrorAfter time.Duration // ERROR_AFTER_MS: ErrorRate holds only after so long
	Latency    time.Duration // LATENCY_MS: each request takes at least so long
	Work       time.Duration // WORK_MS: each request burns so much CPU time
	Startup    time.Duration // STARTUP_MS: /healthz fails for so long
	NeverReady bool          // NEVER_READY: /healthz fails always
	Unready    time.Duration // UNREADY_AFTER_MS: /healthz fails again after so long; 0: never
	Crash      bool          // CRASH: ends with status 3 at once
	CrashAfter time.Duration // CRASH_AFTER_MS: ends with status 3 after so long; 0: never
	Drain      time.Duration // DRAIN_MS: answers for so long after SIGTERM
	Growth     float64       // MEMORY_MB_PER_S: memory taken and never given back
	LogErrors  float64       // LOG_ERRORS_PER_S: error lines written, whatever the requests
	Port       int           // PORT
}

// Read takes the settings from the environment that lookup knows. A value that is no number is an error, not a default.
func Read(lookup func(string) string) (Settings, error) {
	r := reader{lookup: lookup}
	s := Settings{
		Version:    lookup("VERSION"),
		Pod:        lookup("HOSTNAME"),
		ErrorRate:  r.number("ERROR_RATE", 0),
		ErrorAfter: r.milliseconds("ERROR_AFTER_MS"),
		Latency:    r.milliseconds("LATENCY_MS"),
		Work:       r.milliseconds("WORK_MS"),
		Startup:    r.milliseconds("STARTUP_MS"),
		NeverReady: lookup("NEVER_READY") != "",
		Unready:    r.milliseconds("UNREADY_AFTER_MS"),
		Crash:      lookup("CRASH") != "",
		CrashAfter: r.milliseconds("CRASH_AFTER_MS"),
		Drain:      r.milliseconds("DRAIN_MS"),
		Growth:     r.number("MEMORY_MB_PER_S", 0),
		LogErrors:  r.number("LOG_ERRORS_PER_S", 0),
		Port:       int(r.number("PORT", 8080)),
	}
	return s, r.err
}

type reader struct {
	lookup func(string) string
	err    error
}

func (r *reader) number(name string, fallback float64) float64 {
	text := r.lookup(name)
	if text == "" {
		return fallback
	}
	value, err := strconv.ParseFloat(text, 64)
	if err != nil && r.err == nil {
		r.err = fmt.Errorf("%s=%q is no number", name, text)
	}
	return value
}

func (r *reader) milliseconds(name string) time.Duration {
	return time.Duration(r.number(name, 0) * float64(time.Millisecond))
}
