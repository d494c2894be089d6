// SPDX-License-Identifier: GPL-3.0-or-later

// app is the demo application as a container: package demo with the container's environment.
//
// "app version" and "app env" print and end: the image has no shell, kubectl exec can use these.
package main

import (
	"errors"
	"fmt"
	"net/http"
	"os"
	"os/signal"
	"syscall"
	"time"

	"coalmine.canary/tests/cluster/demo"
)

const crashed = 3

func main() {
	settings, err := demo.Read(os.Getenv)
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(2)
	}
	if len(os.Args) > 1 {
		tell(os.Args[1], settings)
		return
	}
	if settings.Crash {
		fmt.Fprintln(os.Stderr, "fatal: cannot start: CRASH is set")
		os.Exit(crashed)
	}
	service := demo.New(settings, os.Stdout)
	misbehave(service)
	serve(service)
}

func tell(what string, settings demo.Settings) {
	if what != "env" {
		fmt.Println(settings.Version)
		return
	}
	for _, variable := range os.Environ() {
		fmt.Println(variable)
	}
}

// misbehave starts what goes wrong by itself, without a request.
func misbehave(service *demo.Service) {
	if service.CrashAfter > 0 {
		time.AfterFunc(service.CrashAfter, func() {
			fmt.Fprintln(os.Stderr, "fatal: CRASH_AFTER_MS has passed")
			os.Exit(crashed)
		})
	}
	if service.Growth > 0 {
		go grow(service.Growth)
	}
	if service.LogErrors > 0 {
		go complain(service)
	}
}

func grow(megabytesPerSecond float64) {
	const steps = 10
	var kept [][]byte
	for range time.Tick(time.Second / steps) {
		block := make([]byte, int(megabytesPerSecond/steps*(1<<20)))
		for i := 0; i < len(block); i += os.Getpagesize() {
			block[i] = 1 // memory that is never written is never taken
		}
		kept = append(kept, block)
	}
}

func complain(service *demo.Service) {
	for range time.Tick(time.Duration(float64(time.Second) / service.LogErrors)) {
		service.Log("error", map[string]any{"message": "something went wrong in the background"})
	}
}

func serve(service *demo.Service) {
	server := &http.Server{Addr: fmt.Sprintf(":%d", service.Port), Handler: service}
	stop := make(chan os.Signal, 1)
	signal.Notify(stop, syscall.SIGTERM, syscall.SIGINT)
	go func() {
		if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
			fmt.Fprintln(os.Stderr, "fatal:", err)
			os.Exit(1)
		}
	}()
	<-stop
	time.Sleep(service.Drain) // kube-proxy may send requests here until it has heard of the deletion
	server.Close()
}
