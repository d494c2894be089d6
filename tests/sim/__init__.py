# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The verbs, unchanged, in a simulated cluster and virtual time: an hour of a release takes milliseconds.

A run is a `History` (what is there, who does what, what goes wrong), drawn from a seed. `World` plays it: an API server in
memory, the controllers of Kubernetes, pods, and one actor for each process that runs verbs. `invariants` looks at every
change. Nothing here asks the real clock or the real network, so that the same history always ends in the same way.
"""
