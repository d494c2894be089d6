// SPDX-License-Identifier: GPL-3.0-or-later

// Package ext is where Traefik's commercial edition adds fields of its own. Traefik's module names it and does not hold it.
package ext

type HTTP struct{}

type Router struct{}
