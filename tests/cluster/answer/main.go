// SPDX-License-Identifier: GPL-3.0-or-later

// answer stands in for the containers of fake pods: each connection is answered as the pod whose address it came to.
//
// It needs the pods' addresses to be this machine's own (ip route add local RANGE dev lo). What a pod does follows from
// its image and its container's environment, exactly as in the real container: both are package demo.
package main

import (
	"flag"
	"fmt"
	"net"
	"net/http"
	"os"
)

func main() {
	directory := flag.String("directory", "", "the cluster's directory: pki/ and images.json")
	server := flag.String("server", "", "URL of the API server")
	port := flag.Int("port", 0, "where the pods listen")
	flag.Parse()
	if err := run(*directory, *server, *port); err != nil {
		fmt.Fprintln(os.Stderr, "answer:", err)
		os.Exit(1)
	}
}

func run(directory, server string, port int) error {
	cluster, err := connect(directory, server)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp4", fmt.Sprintf("0.0.0.0:%d", port))
	if err != nil {
		return err
	}
	go cluster.follow()
	// Calls of gRPC come by HTTP/2 without TLS.
	protocols := new(http.Protocols)
	protocols.SetHTTP1(true)
	protocols.SetUnencryptedHTTP2(true)
	return (&http.Server{Handler: http.HandlerFunc(cluster.serve), Protocols: protocols}).Serve(listener)
}

// serve answers as the pod that the connection was made to. Where no pod is, the connection ends without an answer.
func (c *cluster) serve(w http.ResponseWriter, r *http.Request) {
	local := r.Context().Value(http.LocalAddrContextKey).(net.Addr)
	address, _, _ := net.SplitHostPort(local.String())
	if found, known := c.pods.Load(address); known {
		found.(*pod).service.ServeHTTP(w, r)
		return
	}
	panic(http.ErrAbortHandler)
}
