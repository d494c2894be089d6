// SPDX-License-Identifier: GPL-3.0-or-later

package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"sync"
	"time"

	"coalmine.canary/tests/cluster/demo"
)

const retry = 200 * time.Millisecond

// cluster follows the pods of one API server.
type cluster struct {
	server string
	client *http.Client
	images map[string]map[string]string // image -> the environment that is built into it
	pods   sync.Map                     // address -> *pod
}

type pod struct {
	uid     string
	service *demo.Service
}

// object is what is read of a pod.
type object struct {
	Metadata struct{ Name, UID string }
	Spec     struct {
		Containers []struct {
			Image string
			Env   []struct{ Name, Value string }
		}
	}
	Status struct{ PodIP string }
}

func connect(directory, server string) (*cluster, error) {
	pki := filepath.Join(directory, "pki")
	certificate, err := tls.LoadX509KeyPair(filepath.Join(pki, "admin.crt"), filepath.Join(pki, "admin.key"))
	if err != nil {
		return nil, err
	}
	authority, err := os.ReadFile(filepath.Join(pki, "ca.crt"))
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	roots.AppendCertsFromPEM(authority)
	built, err := os.ReadFile(filepath.Join(directory, "images.json"))
	if err != nil {
		return nil, err
	}
	secured := &tls.Config{Certificates: []tls.Certificate{certificate}, RootCAs: roots}
	c := &cluster{server: server, client: &http.Client{Transport: &http.Transport{TLSClientConfig: secured}}}
	return c, json.Unmarshal(built, &c.images)
}

// follow lists and watches for ever; whatever ends a watch, the next list makes good.
func (c *cluster) follow() {
	for ; ; time.Sleep(retry) {
		if err := c.listAndWatch(); err != nil {
			fmt.Fprintln(os.Stderr, "answer:", err)
		}
	}
}

func (c *cluster) listAndWatch() error {
	var list struct {
		Metadata struct{ ResourceVersion string }
		Items    []object
	}
	listed, err := c.get("")
	if err != nil {
		return err
	}
	defer listed.Close()
	if err := json.NewDecoder(listed).Decode(&list); err != nil {
		return err
	}
	c.keepOnly(list.Items)
	for _, item := range list.Items {
		c.put(item)
	}
	watched, err := c.get("?watch=1&resourceVersion=" + list.Metadata.ResourceVersion)
	if err != nil {
		return err
	}
	defer watched.Close()
	return c.watch(json.NewDecoder(watched))
}

func (c *cluster) watch(events *json.Decoder) error {
	for {
		var event struct {
			Type   string
			Object object
		}
		if err := events.Decode(&event); err != nil {
			return err
		}
		switch event.Type {
		case "DELETED":
			c.pods.Delete(event.Object.Status.PodIP)
		case "ADDED", "MODIFIED":
			c.put(event.Object)
		default:
			return fmt.Errorf("the watch ended with %s", event.Type)
		}
	}
}

func (c *cluster) get(query string) (io.ReadCloser, error) {
	answer, err := c.client.Get(c.server + "/api/v1/pods" + query)
	if err != nil {
		return nil, err
	}
	if answer.StatusCode != http.StatusOK {
		answer.Body.Close()
		return nil, fmt.Errorf("pods%s: %s", query, answer.Status)
	}
	return answer.Body, nil
}

// put makes the pod answer, once it has an address; a pod that answers already keeps its counters.
func (c *cluster) put(item object) {
	address := item.Status.PodIP
	if address == "" {
		return
	}
	if known, ok := c.pods.Load(address); ok && known.(*pod).uid == item.Metadata.UID {
		return
	}
	settings, err := demo.Read(c.environment(item))
	if err != nil {
		fmt.Fprintln(os.Stderr, "answer:", item.Metadata.Name, err)
		return
	}
	c.pods.Store(address, &pod{uid: item.Metadata.UID, service: demo.New(settings, io.Discard)})
}

func (c *cluster) environment(item object) func(string) string {
	container := item.Spec.Containers[0]
	values := map[string]string{"HOSTNAME": item.Metadata.Name, "VERSION": container.Image}
	for name, value := range c.images[container.Image] {
		values[name] = value
	}
	for _, variable := range container.Env {
		values[variable.Name] = variable.Value
	}
	return func(name string) string { return values[name] }
}

// keepOnly forgets the pods that ended while nothing was watched.
func (c *cluster) keepOnly(items []object) {
	listed := map[string]bool{}
	for _, item := range items {
		listed[item.Status.PodIP] = true
	}
	c.pods.Range(func(address, _ any) bool {
		if !listed[address.(string)] {
			c.pods.Delete(address)
		}
		return true
	})
}
