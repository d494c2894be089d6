# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""What people use today, on the same traffic: Fisher's test looked at again and again, Flagger's rule, Argo's rule."""

from __future__ import annotations

import numpy as np

from .world import Segment

PEEK_EVERY = 100
INTERVAL = 500
THRESHOLD = 0.01
FLAGGER_FAILURES = 5
_TAIL_TERMS = 400


def fisher_with_peeking(rng: np.random.Generator, runs: int, segment: Segment) -> np.ndarray:
    """One-sided at 5 %, looked at after every 100 samples: the sample number of the first significant look."""
    stopped = np.full(runs, np.inf)
    log_factorial = np.concatenate([[0.0], np.cumsum(np.log(np.arange(1, segment.end + 2)))])
    active = np.arange(runs)
    n_canary, x_canary, x_stable = (np.zeros(runs, dtype=np.int64) for _ in range(3))
    for look in range(1, int(segment.end // PEEK_EVERY) + 1):
        canary = rng.binomial(PEEK_EVERY, segment.share, len(active))
        n_canary[active] += canary
        x_canary[active] += rng.binomial(canary, segment.canary_rate)
        x_stable[active] += rng.binomial(PEEK_EVERY - canary, segment.stable_rate)
        total = look * PEEK_EVERY
        p = _upper_tail(log_factorial, total, n_canary[active], x_canary[active] + x_stable[active], x_canary[active])
        significant = p < 0.05
        stopped[active[significant]] = total
        active = active[~significant]
        if not len(active):
            break
    return stopped


def _upper_tail(
    log_factorial: np.ndarray, total: int, drawn: np.ndarray, bad: np.ndarray, seen: np.ndarray
) -> np.ndarray:
    """P(X >= seen), hypergeometric. Where `seen` is not above its mean the answer is 1: it cannot be significant."""
    result = np.ones(len(seen))
    above = seen > drawn * bad / total
    n, k, x = drawn[above], bad[above], seen[above]
    if not len(n):
        return result
    terms = x[:, None] + np.arange(_TAIL_TERMS)[None, :]
    possible = terms <= np.minimum(n, k)[:, None]
    i = np.where(possible, terms, x[:, None])
    n, k = n[:, None], k[:, None]
    f = log_factorial
    log_p = f[k] - f[i] - f[k - i] + f[total - k] - f[n - i] - f[total - k - n + i] - f[total] + f[n] + f[total - n]
    result[above] = np.where(possible, np.exp(log_p), 0.0).sum(axis=1)
    return result


def threshold_rule(rng: np.random.Generator, runs: int, segment: Segment, failures: int) -> np.ndarray:
    """Canary's rate above 1 % in an interval of 500 requests over both; `failures` such intervals in all end the run.

    Flagger: 5 (`threshold`, not reset by good intervals). Argo Rollouts: 1 (`failureLimit: 0`, the default).
    """
    intervals = int(segment.end // INTERVAL)
    canary = rng.binomial(INTERVAL, segment.share, (runs, intervals))
    bad = rng.binomial(canary, segment.canary_rate)
    failed = np.cumsum(bad > THRESHOLD * canary, axis=1) >= failures
    return np.where(failed.any(axis=1), (failed.argmax(axis=1) + 1.0) * INTERVAL, np.inf)
