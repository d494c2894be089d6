// SPDX-License-Identifier: GPL-3.0-or-later

// Command semantics says what Kubernetes' own code makes of pod templates and of manifests.
//
//	same    one line {"one": PodTemplateSpec, "other": PodTemplateSpec} in, one line "true" or "false" out, as
//	        EqualIgnoreHash of the Deployment controller finds them
//	schema  which members of a PodTemplateSpec are quantities, texts (also in lists and maps) and whole numbers, and which
//	        mappings mean the same when they are empty as when they are absent: one JSON object
//	yaml    one line with a JSON text in, one line out: the objects that kubectl's decoder reads in that text, or null
//	        where it refuses it
package main

import (
	"bufio"
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"reflect"
	"sort"
	"strings"

	v1 "k8s.io/api/core/v1"
	"k8s.io/apimachinery/pkg/api/resource"
	"k8s.io/apimachinery/pkg/runtime"
	numbers "k8s.io/apimachinery/pkg/util/json"
	"k8s.io/apimachinery/pkg/util/yaml"
	deployments "k8s.io/kubernetes/pkg/controller/deployment/util"
)

type pair struct {
	One   v1.PodTemplateSpec `json:"one"`
	Other v1.PodTemplateSpec `json:"other"`
}

func main() {
	switch os.Args[1] {
	case "same":
		answer(same)
	case "schema":
		fmt.Println(schema())
	case "yaml":
		answer(objects)
	}
}

func answer(line func([]byte) any) {
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 16<<20)
	for lines.Scan() {
		told, err := json.Marshal(line(lines.Bytes()))
		if err != nil {
			panic(err)
		}
		fmt.Println(string(told))
	}
}

func same(line []byte) any {
	var asked pair
	if err := json.Unmarshal(line, &asked); err != nil {
		panic(err)
	}
	return deployments.EqualIgnoreHash(&asked.One, &asked.Other)
}

// objects reads as StreamVisitor of k8s.io/cli-runtime does, and numbers as unstructured objects have them.
func objects(line []byte) any {
	var text string
	if err := json.Unmarshal(line, &text); err != nil {
		panic(err)
	}
	found := []any{}
	decoder := yaml.NewYAMLOrJSONDecoder(strings.NewReader(text), 4096)
	for {
		var raw runtime.RawExtension
		if err := decoder.Decode(&raw); err == io.EOF {
			return found
		} else if err != nil {
			return nil
		}
		if trimmed := bytes.TrimSpace(raw.Raw); len(trimmed) > 0 && !bytes.Equal(trimmed, []byte("null")) {
			var object any
			if err := numbers.Unmarshal(trimmed, &object); err != nil {
				return nil
			}
			found = append(found, object)
		}
	}
}

// facts are "holder.member", by the names that JSON has for them; a holder is the member that its type stands under.
// pointers are those that somewhere tell an empty mapping from none.
type facts struct {
	quantities map[string]bool
	empty      map[string]bool
	pointers   map[string]bool
	texts      map[string]bool
	numbers    map[string]bool
	seen       map[string]bool
}

func schema() string {
	found := facts{}
	for _, names := range []*map[string]bool{
		&found.quantities, &found.empty, &found.pointers, &found.texts, &found.numbers, &found.seen,
	} {
		*names = map[string]bool{}
	}
	found.walk(reflect.TypeOf(v1.PodTemplateSpec{}), "")
	for member := range found.pointers {
		delete(found.empty, member)
	}
	told, _ := json.Marshal(map[string][]string{
		"quantities": sorted(found.quantities), "empty": sorted(found.empty),
		"texts": sorted(found.texts), "numbers": sorted(found.numbers),
	})
	return string(told)
}

func (f facts) walk(t reflect.Type, holder string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct || f.seen[holder+" "+t.String()] || t.PkgPath() == "k8s.io/apimachinery/pkg/apis/meta/v1" && t.Name() == "Time" {
		return
	}
	f.seen[holder+" "+t.String()] = true
	for i := 0; i < t.NumField(); i++ {
		field := t.Field(i)
		name, _, _ := strings.Cut(field.Tag.Get("json"), ",")
		if name == "" {
			f.walk(field.Type, holder)
			continue
		}
		member, amount := holder+"."+name, reflect.TypeOf(resource.Quantity{})
		switch element(field.Type).Kind() {
		case reflect.String:
			f.texts[member] = true
		case reflect.Int32, reflect.Int64:
			f.numbers[member] = true
		}
		switch {
		case field.Type == amount || field.Type == reflect.PointerTo(amount):
			f.quantities[member] = true
		case field.Type.Kind() == reflect.Map:
			f.empty[member] = true
			if field.Type.Elem() == amount {
				f.quantities[member] = true
			}
		case field.Type.Kind() == reflect.Struct && field.Type.Name() != "Time" && field.Type.Name() != "IntOrString":
			f.empty[member] = true
			f.walk(field.Type, name)
		default:
			if field.Type.Kind() == reflect.Pointer {
				f.pointers[member] = true
			}
			f.walk(field.Type, name)
		}
	}
}

// element is what a pointer, list or map is of.
func element(t reflect.Type) reflect.Type {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice || t.Kind() == reflect.Map {
		t = t.Elem()
	}
	return t
}

func sorted(names map[string]bool) []string {
	result := []string{}
	for name := range names {
		result = append(result, name)
	}
	sort.Strings(result)
	return result
}
