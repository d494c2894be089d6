# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Reads a kubeconfig with the `kubernetes` library (handed in by client.py), and says what is wrong with it.

The library alone would leave a broken credential plugin in a log and go on without credentials, name no contexts, and
quote a broken file, secrets and all.

This module is private to the collection.
"""

from __future__ import annotations

import binascii
import copy
import logging
from contextlib import contextmanager
from typing import Any, Iterator, Mapping

from ..foreign import printable
from .errors import ConfigError
from .options import Connection


def load_kubeconfig(kubernetes: Any, configuration: Any, settings: Connection, kubeconfig: Any) -> None:
    """What the library's load_kube_config does, in steps, so that we can say what is wrong with the content."""
    kube_config = kubernetes.config.kube_config
    inline = isinstance(kubeconfig, Mapping)
    name = "given as a dictionary" if inline else str(kubeconfig)
    persist = None
    if inline:
        content: Any = copy.deepcopy(dict(kubeconfig))
    else:
        with _complaints_about_kubeconfig(kubernetes, name):
            merger = kube_config.KubeConfigMerger(kubeconfig)
        if merger.config is None:
            raise ConfigError(f"there is no kubeconfig at {kubeconfig}")
        content = merger.config
        persist = merger.save_changes if settings.persist_config else None
    context = _context(content, settings.context, name)
    with _collected_log() as log, _complaints_about_kubeconfig(kubernetes, name):
        kube_config.KubeConfigLoader(
            config_dict=content, active_context=context["name"], config_base_path=None, config_persister=persist
        ).load_and_set(configuration)
    _check_plugin(_entries(content, "users"), context, configuration, log)


def _entries(content: Any, kind: str) -> list[Mapping[str, Any]]:
    """The named entries of a kubeconfig as plain mappings, whether the library has wrapped them or not."""
    plain = getattr(content, "value", content)
    found = (getattr(entry, "value", entry) for entry in plain.get(kind) or ())
    return [entry for entry in found if isinstance(entry, Mapping) and "name" in entry]


def _context(content: Any, wanted: str | None, name: str) -> Mapping[str, Any]:
    """The entry of the context to use. Raises ConfigError that lists the known ones."""
    plain = getattr(content, "value", content)
    known = {entry["name"]: entry for entry in _entries(content, "contexts")}
    choices = f"the kubeconfig {name} has {', '.join(known) or 'none'}"
    context = wanted or plain.get("current-context")
    if not context:
        raise ConfigError(f"the kubeconfig has no current-context: give context ({choices})")
    if context not in known:
        raise ConfigError(f'there is no context "{context}": {choices}')
    return known[context]


def _check_plugin(
    users: list[Mapping[str, Any]], context: Mapping[str, Any], configuration: Any, log: list[str]
) -> None:
    """The library logs what a credential plugin did wrong, and goes on without credentials: not so here."""
    wanted = context["context"].get("user")
    user = next((entry.get("user") or {} for entry in users if entry["name"] == wanted), {})
    plugin = (user.get("exec") or {}).get("command")
    if plugin and not configuration.api_key and not configuration.cert_file:
        why = "; ".join(log) or "it gave neither a token nor a certificate"
        raise ConfigError(f'the kubeconfig\'s credential plugin "{plugin}" failed: {why}. Run it by hand to see more')


@contextmanager
def _collected_log() -> Iterator[list[str]]:
    """What is logged meanwhile, as texts, and not on the terminal."""
    texts: list[str] = []

    class Collect(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            texts.append(printable(record.getMessage()))

    handler = Collect(logging.ERROR)
    logging.getLogger().addHandler(handler)
    try:
        yield texts
    finally:
        logging.getLogger().removeHandler(handler)


@contextmanager
def _complaints_about_kubeconfig(kubernetes: Any, name: str) -> Iterator[None]:
    """Turns what the library raises for a kubeconfig into ConfigError, without quoting the content: it has secrets."""
    import yaml

    try:
        yield
    except yaml.YAMLError as error:
        mark = getattr(error, "problem_mark", None)
        where = f" (line {mark.line + 1})" if mark else ""
        raise ConfigError(f"the kubeconfig {name} is not YAML{where}") from None
    except kubernetes.config.ConfigException as error:
        raise ConfigError(f"the kubeconfig {name} is not usable: {error}") from None
    except OSError as error:
        raise ConfigError(f"the kubeconfig {name} cannot be read: {error.strerror} ({error.filename})") from error
    except binascii.Error:
        raise ConfigError(f"the kubeconfig {name} has a certificate or key that is not base64") from None
    except (AttributeError, KeyError, TypeError, ValueError):
        raise ConfigError(f"the kubeconfig {name} has not the shape of a kubeconfig") from None
