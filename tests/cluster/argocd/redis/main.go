// SPDX-License-Identifier: GPL-3.0-or-later

// redis is where Argo CD's programs keep what they have found out: miniredis, which Argo CD is tested with, at the address that is named.
package main

import (
	"fmt"
	"os"

	"github.com/alicebob/miniredis/v2"
)

func main() {
	if err := miniredis.NewMiniRedis().StartAddr(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}
