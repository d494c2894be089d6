// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"context"
	"net/http"
	"strings"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/metadata"
	"google.golang.org/protobuf/types/known/emptypb"
)

// calling makes the request a unary call: its path is the method, its headers are metadata. A call that gRPC calls OK counts as a 200.
func (o options) calling(sent *http.Request) ask {
	given := metadata.MD{}
	for name, values := range sent.Header {
		given.Set(strings.ToLower(name), values...)
	}
	return func() result {
		began := time.Now()
		ctx, cancel := context.WithTimeout(metadata.NewOutgoingContext(context.Background(), given), o.timeout)
		defer cancel()
		var told metadata.MD
		if err := o.call(ctx, sent, &told); err != nil {
			return result{err: err.Error()}
		}
		return result{code: http.StatusOK, version: first(told, "x-version"), pod: first(told, "x-pod"), took: time.Since(began)}
	}
}

// call is on a connection of its own.
func (o options) call(ctx context.Context, sent *http.Request, told *metadata.MD) error {
	plain := grpc.WithTransportCredentials(insecure.NewCredentials())
	connection, err := grpc.NewClient("passthrough:///"+sent.URL.Host, plain, grpc.WithAuthority(sent.Host))
	if err != nil {
		return err
	}
	defer connection.Close()
	return connection.Invoke(ctx, sent.URL.Path, &emptypb.Empty{}, &emptypb.Empty{}, grpc.Header(told))
}

func first(told metadata.MD, name string) string {
	for _, value := range told.Get(name) {
		return value
	}
	return ""
}
