# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""The one file that knows the `kubernetes` library: it reads the configuration and lends its connection pool.

The library decides who we are and how to get there (kubeconfig, exec plugins, OIDC, proxies, in-cluster); requests go
straight to its urllib3 pool. That part is the same from 24.2 to 37: no discovery, no models, and bodies that we may
read as they arrive. The library is imported at first use, because that takes a quarter of a second.

This module is private to the collection.
"""

from __future__ import annotations

import importlib
import os
import ssl
import threading
from contextlib import contextmanager
from enum import Enum
from typing import Any, Iterator, Mapping
from urllib.parse import urlsplit

from .errors import ConfigError
from .kubeconfig import load_kubeconfig
from .options import Connection
from .secrets import in_header

OLDEST_CLIENT = (24, 2)
INSTALL = "install kubernetes >= {}.{} into the Python that runs this".format(*OLDEST_CLIENT)


class Source(Enum):
    OPTIONS = "options"
    KUBECONFIG = "kubeconfig"
    IN_CLUSTER = "in-cluster"


def preload() -> bool:
    """Imports the client library if it is there, so that forked workers find it imported. False: it is not there."""
    try:
        importlib.import_module("kubernetes")
    except ImportError:
        return False
    return True


def library() -> Any:
    """The `kubernetes` package. Raises ConfigError when it is missing, broken or too old."""
    try:
        import kubernetes
    except ImportError as error:
        raise ConfigError(f"the Python library kubernetes cannot be imported ({error}): {INSTALL}") from error
    version = tuple(int(part) for part in kubernetes.__version__.split(".")[:2] if part.isdigit())
    if version < OLDEST_CLIENT:
        raise ConfigError(f"the Python library kubernetes is {kubernetes.__version__}, which is too old: {INSTALL}")
    return kubernetes


class Session:
    """A pool of kept-alive connections to one server, and the headers that say who we are."""

    def __init__(self, configuration: Any, pool: Any, headers: Any) -> None:
        self.base = configuration.host.rstrip("/")
        self.pool = pool
        self._configuration = configuration
        self._headers = headers
        self._bearer = ""
        self._refreshing = threading.Lock()

    def __repr__(self) -> str:
        return f"Session({self.server})"

    @property
    def server(self) -> str:
        """Scheme, host and port, without credentials that somebody may have put into the URL."""
        url = urlsplit(self.base)
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"

    def headers(self) -> Any:
        """A fresh multi-valued mapping; credentials that expire are renewed here."""
        headers = self._headers.copy()
        with self._refreshing:
            bearer = self._configuration.auth_settings().get("BearerToken", {}).get("value")
        if bearer:
            # Files often end with a line break, and no token has one.
            self._bearer = bearer.strip()
            headers["Authorization"] = _for_header("the credentials", self._bearer)
        return headers

    @property
    def secrets(self) -> frozenset[str]:
        """What was last sent in confidence, and must not be repeated to anybody."""
        proxy = self._configuration.proxy_headers or {}
        return frozenset().union(*(in_header(str(text)) for text in (self._bearer, *proxy.values())))

    def close(self) -> None:
        self.pool.clear()


def open_session(
    settings: Connection, source: Source, kubeconfig: str | Mapping[str, Any] | None, user_agent: str
) -> Session:
    """Reads the configuration and prepares TLS; sends nothing. Raises ConfigError."""
    kubernetes = library()
    configuration = kubernetes.client.Configuration()
    with _without_leftovers(kubernetes):
        if source is Source.KUBECONFIG:
            load_kubeconfig(kubernetes, configuration, settings, kubeconfig)
        elif source is Source.IN_CLUSTER:
            _load_in_cluster(kubernetes, configuration)
        _check_address(settings.host or configuration.host)
        _apply_options(configuration, settings)
        _check_proxy(configuration.proxy)
        pool = _pool(kubernetes, configuration)
    return Session(configuration, pool, _fixed_headers(settings, user_agent))


@contextmanager
def _without_leftovers(kubernetes: Any) -> Iterator[None]:
    """Removes the files that the library writes for certificates and keys given inline.

    It would remove them itself at exit, but Ansible's workers end without that, and keys would pile up on the disk.
    """
    written = getattr(kubernetes.config.kube_config, "_temp_files", {})
    before = set(written)
    try:
        yield
    finally:
        for content in set(written) - before:
            path = written.pop(content)
            if os.path.exists(path):
                os.unlink(path)


def _check_address(address: str) -> None:
    try:
        url = urlsplit(address)
        usable = url.scheme in ("https", "http") and bool(url.hostname) and url.port != 0 and " " not in url.netloc
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("the server's address (host, or server in the kubeconfig) must be https://NAME[:PORT]")


def _check_proxy(address: str | None) -> None:
    """It may hold a password, so it is not repeated."""
    try:
        url = urlsplit(address or "http://none")
        usable = url.scheme in ("https", "http") and bool(url.hostname) and url.port != 0 and " " not in url.netloc
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("the proxy's address (proxy, or proxy-url in the kubeconfig) must be http://NAME:PORT")


def _load_in_cluster(kubernetes: Any, configuration: Any) -> None:
    try:
        kubernetes.config.load_incluster_config(client_configuration=configuration)
    except kubernetes.config.ConfigException as error:
        raise ConfigError(f"the pod's ServiceAccount is not usable: {error}") from error


def _apply_options(configuration: Any, settings: Connection) -> None:
    """Puts the explicit options over what the file said."""
    from urllib3.util import make_headers

    given = {
        "host": settings.host,
        "verify_ssl": settings.validate_certs,
        "ssl_ca_cert": settings.ca_cert,
        "cert_file": settings.client_cert,
        "key_file": settings.client_key,
        "proxy": settings.proxy,
        "no_proxy": settings.no_proxy,
        "proxy_headers": _proxy_headers(settings.proxy_headers) if settings.proxy_headers else None,
    }
    for name, value in given.items():
        if value is not None:
            setattr(configuration, name, value)
    if settings.api_key:
        _use_authorization(configuration, f"Bearer {settings.api_key.strip()}")
    elif settings.username and settings.password:
        user_and_password = _for_header("username or password", f"{settings.username}:{settings.password}")
        basic = make_headers(basic_auth=user_and_password)["authorization"]
        _use_authorization(configuration, basic)


def _proxy_headers(options: Mapping[str, str]) -> Mapping[str, str]:
    from urllib3.util import make_headers

    def of(name: str) -> str | None:
        return _for_header(f"proxy_headers.{name}", options.get(name, "").strip()) or None

    return make_headers(
        proxy_basic_auth=of("proxy_basic_auth"), basic_auth=of("basic_auth"), user_agent=of("user_agent")
    )


def _use_authorization(configuration: Any, value: str) -> None:
    configuration.api_key = {"authorization": value}
    configuration.api_key_prefix = {}
    # Else the file's credentials would come back at the first request: by a hook, or (24.2, in-cluster) by a method
    # that the library puts over its own.
    configuration.refresh_api_key_hook = None
    vars(configuration).pop("get_api_key_with_prefix", None)


def _pool(kubernetes: Any, configuration: Any) -> Any:
    """The library's pool manager (it knows proxies), with TLS settings read once instead of at each connection."""
    pool = kubernetes.client.rest.RESTClientObject(configuration).pool_manager
    if not configuration.host.startswith("https:"):
        return pool
    for option in ("ca_certs", "ca_cert_data", "cert_file", "key_file"):
        pool.connection_pool_kw.pop(option, None)
    pool.connection_pool_kw["ssl_context"] = _tls(configuration)
    return pool


def _tls(configuration: Any) -> ssl.SSLContext:
    """Trusts the CA that is configured, or the system's. Raises ConfigError for files that cannot be used."""
    import urllib3
    from urllib3.util.ssl_ import create_urllib3_context

    # urllib3's own kind of context: 1.26 compares host names itself, later ones leave it to OpenSSL.
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if configuration.verify_ssl else ssl.CERT_NONE)
    if not configuration.verify_ssl:
        # Whoever switched verification off need not be told at each request.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    elif configuration.ssl_ca_cert:
        try:
            context.load_verify_locations(configuration.ssl_ca_cert)
        except OSError as error:
            raise ConfigError(f"the CA file {configuration.ssl_ca_cert} is not usable: {error}") from error
    else:
        context.load_default_certs()
    if configuration.cert_file:
        try:
            context.load_cert_chain(configuration.cert_file, configuration.key_file or None, password=_no_password)
        except OSError as error:
            files = f"{configuration.cert_file} and {configuration.key_file}"
            raise ConfigError(f"the client certificate and its key are not usable ({files}): {error}") from error
    return context


def _no_password() -> str:
    raise ssl.SSLError("the key is encrypted, which is not supported")


def _for_header(what: str, value: str) -> str:
    """Raises ConfigError, which repeats nothing of it, for what HTTP cannot carry (RFC 9110, section 5.5)."""
    if any(
        character != "\t" and (character < " " or "\x7e" < character < "\xa0" or character > "\xff")
        for character in value
    ):
        raise ConfigError(
            f"{what} cannot be sent: there is a line break, a control character or one beyond Latin-1 in it"
        )
    return value


def _fixed_headers(settings: Connection, user_agent: str) -> Any:
    from urllib3._collections import HTTPHeaderDict  # urllib3 1.26 has it nowhere else

    headers = HTTPHeaderDict({"User-Agent": user_agent})
    if settings.impersonate_user:
        headers["Impersonate-User"] = _for_header("impersonate_user", settings.impersonate_user)
    for group in settings.impersonate_groups or ():
        headers.add("Impersonate-Group", _for_header("impersonate_groups", group))
    return headers
