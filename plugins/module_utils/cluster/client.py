# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
"""Makes a session of what is configured: the server, the way to it, and who we are. The one file that knows the `kubernetes` library.

Requests go straight to a urllib3 pool: no discovery, no models, and bodies that we may read as they arrive. Of the library only
OIDC is used, so that its versions from 24.2 to 37 do the same. It is imported only for that, because it takes a quarter
of a second; urllib3, which it brings along, takes a tenth of that.

This module is private to the collection.
"""

from __future__ import annotations

import base64
import importlib.util
import os
import socket
import ssl
import tempfile
import threading
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import replace
from enum import Enum
from typing import Any
from urllib.parse import quote, urlsplit

from .credentials import Certificate, Credentials, Library, Plugin, TokenFile
from .errors import ConfigError
from .kubeconfig import Impersonation, Kubeconfig, Pem, Server, User, read_kubeconfig
from .options import Connection, is_same_server
from .proxies import Proxy, proxy_for
from .secrets import in_header, named_file

OLDEST_CLIENT = (24, 2)
INSTALL = "install kubernetes >= {}.{} into the Python that runs this".format(*OLDEST_CLIENT)

# Idle connections that are kept for the next request: as many as one task has at once, and as a large fleet has. A pool makes a place for
# each when it is made, which takes longer than a request where they are hundreds.
KEPT_OPEN, KEPT_OPEN_OF_A_FLEET = 16, 512
# A watch may say nothing for minutes, and a gateway that forgot the connection tells neither side: so the kernel asks after a
# silence of so many seconds, and every so many seconds, and gives up after so many questions. A system that knows one of them by
# another name goes by its own.
_KEEPALIVE = {"TCP_KEEPIDLE": 30, "TCP_KEEPALIVE": 30, "TCP_KEEPINTVL": 10, "TCP_KEEPCNT": 3}


class Source(Enum):
    OPTIONS = "options"
    KUBECONFIG = "kubeconfig"
    IN_CLUSTER = "in-cluster"


def preload() -> bool:
    """Imports what every request needs, if it is there, so that forked workers find it imported. False: it is not there.

    OpenSSL reads its own configuration for the first context of a process, which takes longer than a request: workers find that done, too.
    """
    if not _is_there():
        return False
    with suppress(ssl.SSLError):  # whoever connects is told
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    return True


def _is_there() -> bool:
    try:
        importlib.import_module("urllib3")
    except ImportError:
        return False
    return True


def _library() -> Any:
    """The `kubernetes` package. Raises ConfigError when it is missing, broken or too old."""
    try:
        import kubernetes
    except ImportError as error:
        raise ConfigError(
            f"a user of auth-provider needs the Python library kubernetes, which cannot be imported ({error}): {INSTALL}"
        ) from error
    version = tuple(int(part) for part in kubernetes.__version__.split(".")[:2] if part.isdigit())
    if version < OLDEST_CLIENT:
        raise ConfigError(f"the Python library kubernetes is {kubernetes.__version__}, which is too old: {INSTALL}")
    return kubernetes


class Session:
    """A pool of kept-alive connections to one server, and the headers that say who we are.

    `pool_with` makes the pool for a client certificate of the credentials' (None: for the one that is configured).
    `warnings`: what is to be told of the configuration, `confided`: what else of it is secret. `context`: the one of a kubeconfig by which
    the server was found, empty where none was. `cluster`: equal where the same server is asked,
    by whomever; one address may be that of many, told apart by a path (Rancher), a name in TLS (Teleport) or the proxy before it. Not to be told.
    """

    def __init__(
        self, server: Server, credentials: Credentials, headers: Any, pool_with: Callable[[Certificate | None], Any]
    ) -> None:
        self.base = server.address.rstrip("/")
        self.compress = server.compress
        self.warnings: tuple[str, ...] = ()
        self.context = ""
        self.confided: frozenset[str] = frozenset()
        self.cluster: tuple[str, ...] = (self.server, urlsplit(self.base).path, server.tls_name)
        self._kept_open = KEPT_OPEN
        self._credentials = credentials
        self._headers = headers
        self._bearer = credentials.authorization()
        self._pool_with = pool_with
        self._certificate = credentials.certificate()
        self._pool = pool_with(self._certificate)
        self._changing = threading.Lock()
        self._path = urlsplit(self.base).path
        # A pool, and what it has for the server.
        self._straight: tuple[Any, Any] | None = None

    def __repr__(self) -> str:
        return f"Session({self.server})"

    @property
    def server(self) -> str:
        """Scheme, host and port, without credentials that somebody may have put into the URL."""
        url = urlsplit(self.base)
        return f"{url.scheme}://{url.netloc.rpartition('@')[2]}"

    @property
    def pool(self) -> Any:
        """With the client certificate that counts now."""
        with self._changing:
            certificate = self._credentials.certificate()
            if certificate != self._certificate:
                self._pool, self._certificate = self._pool_with(certificate), certificate
                self.keep_open(self._kept_open)
            return self._pool

    def keep_open(self, connections: int) -> None:
        """So many, from the first request on."""
        if connections != KEPT_OPEN:
            self._pool.connection_pool_kw["maxsize"] = self._kept_open = connections

    def request(self, method: str, target: str, **how: Any) -> Any:
        """One request for `target`, as the pool takes it. Which connections go to the server is worked out once."""
        pool = self.pool
        if pool.proxy is not None:
            return pool.request(method, self.base + target, **how)
        straight = self._straight
        if straight is None or straight[0] is not pool:
            # Another thread may put those of another certificate there at any moment.
            self._straight = straight = pool, pool.connection_from_url(self.base)
        return straight[1].request(method, self._path + target, **how)

    def headers(self) -> Any:
        """A fresh multi-valued mapping; credentials that expire are renewed here. Raises ConfigError or NotRenewed."""
        headers = self._headers.copy()
        self._bearer = self._credentials.authorization()
        if self._bearer:
            headers["Authorization"] = _for_header("the credentials", self._bearer)
        return headers

    def renew(self) -> bool:
        """After the server has refused our credentials: whether we have others now. Raises ConfigError or NotRenewed."""
        return self._credentials.renew()

    @property
    def secrets(self) -> frozenset[str]:
        """What was last sent in confidence, and must not be repeated to anybody."""
        return in_header(self._bearer) | self.confided

    def close(self) -> None:
        self._pool.clear()


# What the server of the cluster that a pod runs in is called there, beside its address.
_IN_CLUSTER_NAMES = frozenset(
    {"kubernetes", "kubernetes.default", "kubernetes.default.svc", "kubernetes.default.svc.cluster.local"}
)
_NOT_SENT = (
    "host is another server than that of the kubeconfig, or of the pod, which the environment names, so that nothing of it was used, and its "
    "credentials were not sent there. Give api_key, or kubeconfig where it is meant for this host"
)


def open_session(
    settings: Connection,
    source: Source,
    kubeconfig: str | Mapping[str, Any] | None,
    user_agent: str,
    *,
    only_host: bool = False,
) -> Session:
    """Reads the configuration and prepares TLS; sends nothing, but runs a credential plugin. Raises ConfigError.

    `kubeconfig`: what it says, or, in a pod, the path of its ServiceAccount's token. `only_host`: nobody has named that beside the host, so that
    it counts for no server but its own.
    """
    if not _is_there():
        raise ConfigError(f"the Python library urllib3, which kubernetes brings along, cannot be imported: {INSTALL}")
    found = Kubeconfig(Server(), User())
    if source is Source.KUBECONFIG and kubeconfig is not None:
        found = read_kubeconfig(kubeconfig, settings.context)
    elif source is Source.IN_CLUSTER:
        found = _in_cluster(str(kubeconfig))
    if only_host and source is not Source.OPTIONS and not _is_of(found.server.address, str(settings.host), source):
        found = Kubeconfig(Server(), User(), () if settings.client_cert else (_NOT_SENT,))
    server, user = _server(found.server, settings), found.user
    _check_address(server.address)
    proxy = proxy_for(server, settings, os.environ)
    credentials = _credentials(user, settings, kubeconfig)
    certificate, key = _certificate(user, settings)
    headers = _fixed_headers(_impersonation(user.impersonation, settings), user_agent)

    def pool_with(given: Certificate | None) -> Any:
        pair = (certificate, key) if given is None else (Pem(text=given.certificate), Pem(text=given.key))
        return _pool(server, proxy, *pair)

    session = Session(server, credentials, headers, pool_with)
    session.warnings = found.warnings
    session.context = "" if settings.host else found.context
    session.cluster = (*session.cluster, proxy.url if proxy else "")
    session.confided = frozenset().union(*(in_header(text) for text in (proxy.headers if proxy else {}).values()))
    return session


def _is_of(address: str, host: str, source: Source) -> bool:
    names = {f"https://{name}" for name in _IN_CLUSTER_NAMES} if source is Source.IN_CLUSTER else set()
    return any(is_same_server(one, host) for one in {address, *names})


def _check_address(address: str) -> None:
    try:
        url = urlsplit(address)
        usable = url.scheme in ("https", "http") and bool(url.hostname) and url.port != 0 and " " not in url.netloc
        usable = usable and not any(ord(character) <= 32 for character in address)
    except ValueError:
        usable = False
    if not usable:
        raise ConfigError("the server's address (host, or server in the kubeconfig) must be https://NAME[:PORT]")


def _in_cluster(token: str) -> Kubeconfig:
    """What every pod has (client-go: rest/config.go, InClusterConfig)."""
    host, port = (os.environ.get(f"KUBERNETES_SERVICE_{name}", "") for name in ("HOST", "PORT"))
    address = f"https://{f'[{host}]' if ':' in host else host}:{port or 443}"
    ca = os.path.join(os.path.dirname(token), "ca.crt")
    return Kubeconfig(Server(address=address, ca=Pem(ca)), User(credentials=TokenFile(token)))


def _server(found: Server, settings: Connection) -> Server:
    """What an option says counts more than what a file says."""
    changes: dict[str, Any] = {}
    if settings.host:
        changes["address"] = settings.host.strip()
    if settings.validate_certs is not None:
        changes["verify"] = settings.validate_certs
    if settings.ca_cert:
        changes["ca"] = Pem(settings.ca_cert)
    return replace(found, **changes)


def _certificate(user: User, settings: Connection) -> tuple[Pem, Pem]:
    return (
        Pem(settings.client_cert) if settings.client_cert else user.certificate,
        Pem(settings.client_key) if settings.client_key else user.key,
    )


def _credentials(user: User, settings: Connection, kubeconfig: object) -> Credentials:
    """The explicit options come before the file, and then no plugin is run."""
    if settings.api_key and settings.api_key.strip():
        return Credentials(f"Bearer {settings.api_key.strip()}")
    if settings.username and settings.password:
        pair = f"{settings.username}:{settings.password}"
        return Credentials("Basic " + base64.b64encode(pair.encode()).decode())
    if isinstance(user.credentials, Plugin) and settings.client_cert:
        return Credentials()
    if user.provider is not None and not user.credentials.authorization():
        return _of_library(user.provider, settings, kubeconfig)
    return user.credentials


def _of_library(provider: Mapping[str, Any], settings: Connection, kubeconfig: object) -> Credentials:
    """A user of OIDC. A renewed token is written back only where persist_config says so, and the kubeconfig is a file."""
    kubernetes = _library()
    kube_config, configuration = kubernetes.config.kube_config, kubernetes.client.Configuration()
    entry = {"name": "oidc", "user": _with_authority(provider)}
    content: Any = {
        "current-context": "oidc",
        "users": [entry],
        "clusters": [{"name": "oidc", "cluster": {"server": "https://oidc.invalid"}}],
        "contexts": [{"name": "oidc", "context": {"cluster": "oidc", "user": "oidc"}}],
    }
    context, persist = "oidc", None
    try:
        with _without_leftovers(kubernetes):
            if settings.persist_config and isinstance(kubeconfig, str):
                merger = kube_config.KubeConfigMerger(kubeconfig)
                content, persist = merger.config, merger.save_changes
                context = settings.context or content["current-context"]
            kube_config.KubeConfigLoader(
                config_dict=content, active_context=context, config_base_path=None, config_persister=persist
            ).load_and_set(configuration)
    except Exception as error:  # noqa: BLE001 - the library raises anything here, and its texts may quote tokens
        raise ConfigError(
            f"the token of the kubeconfig's auth-provider cannot be used: {type(error).__name__}"
        ) from None
    credentials = Library(configuration)
    if not credentials.authorization():
        raise ConfigError("the kubeconfig's auth-provider has no id-token that can be used: log in again")
    return credentials


def _with_authority(provider: Mapping[str, Any]) -> Mapping[str, Any]:
    """The library would renew tokens over a connection that it does not verify where no authority is named."""
    auth = provider["auth-provider"]
    config = dict(auth.get("config") or {})
    if not any(config.get(f"idp-certificate-authority{kind}") for kind in ("", "-data")):
        trusted = ssl.get_default_verify_paths().cafile
        if trusted:
            with open(trusted, "rb") as file:
                config["idp-certificate-authority-data"] = base64.b64encode(file.read()).decode()
    return {"auth-provider": {**auth, "config": config}}


@contextmanager
def _without_leftovers(kubernetes: Any) -> Iterator[None]:
    """Removes the files that the library writes for certificates given inline.

    It would remove them itself at exit, but Ansible's workers end without that, and they would pile up on the disk.
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


def _impersonation(found: Impersonation, settings: Connection) -> Impersonation:
    """Whom the options name counts alone: nobody's groups are mixed with another's."""
    if settings.impersonate_user:
        return Impersonation(user=settings.impersonate_user, groups=settings.impersonate_groups or ())
    if settings.impersonate_groups:
        if not found.user:
            raise ConfigError("impersonate_groups is given without impersonate_user: say who is impersonated")
        return replace(found, groups=settings.impersonate_groups)
    return found


def _pool(server: Server, proxy: Proxy | None, certificate: Pem, key: Pem) -> Any:
    """TLS settings are read once instead of at each connection."""
    import urllib3

    options: dict[str, Any] = {"maxsize": KEPT_OPEN, "socket_options": _socket_options()}
    if server.address.startswith("https:"):
        options["ssl_context"] = _tls(server, certificate, key)
        if not server.verify:
            options["cert_reqs"] = ssl.CERT_NONE
            options["assert_hostname"] = False
        if server.tls_name:
            options["server_hostname"] = server.tls_name
            if server.verify:
                options["assert_hostname"] = server.tls_name
    if proxy is None:
        return urllib3.PoolManager(**options)
    if not proxy.is_socks:
        return urllib3.ProxyManager(proxy.url, proxy_headers=proxy.headers, **options)
    if importlib.util.find_spec("socks") is None:
        raise ConfigError("the proxy speaks SOCKS, which needs PySocks: install it into the Python that runs this")
    from urllib3.contrib.socks import SOCKSProxyManager

    return SOCKSProxyManager(proxy.url, **options)


def _socket_options() -> list[tuple[int, int, int]]:
    known = [(getattr(socket, name, None), value) for name, value in _KEEPALIVE.items()]
    asked = [(socket.IPPROTO_TCP, option, value) for option, value in known if option is not None]
    return [(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1), (socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1), *asked]


def _tls(server: Server, certificate: Pem, key: Pem) -> ssl.SSLContext:
    """Trusts the CA that is configured, or the system's. Raises ConfigError for what cannot be used."""
    import urllib3
    from urllib3.util.ssl_ import create_urllib3_context

    # urllib3's own kind of context: 1.26 compares host names itself, later ones leave it to OpenSSL.
    context = create_urllib3_context(cert_reqs=ssl.CERT_REQUIRED if server.verify else ssl.CERT_NONE)
    if not server.verify:
        # Whoever switched verification off need not be told at each request.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    elif server.ca:
        try:
            context.load_verify_locations(cafile=server.ca.path or None, cadata=server.ca.text or None)
        except (OSError, ValueError) as error:
            raise ConfigError(f"the CA {_origin(server.ca)} is not usable: {_said(error)}") from None
    else:
        context.load_default_certs()
    if certificate:
        try:
            with _as_files(certificate, key) as (certificate_file, key_file):
                context.load_cert_chain(certificate_file, key_file, password=_no_password)
        except (OSError, ValueError) as error:
            files = f"{_origin(certificate)} and {_origin(key)}"
            raise ConfigError(f"the client certificate and its key are not usable ({files}): {_said(error)}") from None
    return context


def _origin(pem: Pem) -> str:
    return "given as data" if pem.text else named_file(pem.path) if pem.path else "file None"


def _said(error: Exception) -> str:
    return str(getattr(error, "strerror", None) or type(error).__name__)


@contextmanager
def _as_files(certificate: Pem, key: Pem) -> Iterator[tuple[str, str | None]]:
    """OpenSSL takes certificates of clients from files only; these are gone when the context has them."""
    with tempfile.TemporaryDirectory() as directory:
        paths = []
        for name, pem in (("certificate", certificate), ("key", key)):
            path = pem.path
            if pem.text:
                path = os.path.join(directory, name)
                with open(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w", encoding="utf-8") as file:
                    file.write(pem.text)
            paths.append(path)
        yield paths[0], paths[1] or None


def _no_password() -> str:
    raise ssl.SSLError("the key is encrypted, which is not supported")


def _for_header(what: str, value: str) -> str:
    """Raises ConfigError, which repeats nothing of it, for what HTTP cannot carry (RFC 9110, section 5.5)."""
    if any(each != "\t" and (each < " " or "\x7e" < each < "\xa0" or each > "\xff") for each in value):
        raise ConfigError(
            f"{what} cannot be sent: there is a line break, a control character or one beyond Latin-1 in it"
        )
    return value


# The bytes of a header's name that client-go sends as they are (transport/round_trippers.go, headerKeyEscape).
_SAFE_IN_NAMES = "!#$&'*+-.^_`|~"


def _fixed_headers(impersonation: Impersonation, user_agent: str) -> Any:
    from urllib3._collections import HTTPHeaderDict  # urllib3 1.26 has it nowhere else

    headers = HTTPHeaderDict({"User-Agent": user_agent})
    if impersonation.user:
        headers["Impersonate-User"] = _for_header("impersonate_user", impersonation.user)
    if impersonation.uid:
        headers["Impersonate-Uid"] = _for_header("as-uid", impersonation.uid)
    for group in impersonation.groups:
        headers.add("Impersonate-Group", _for_header("impersonate_groups", group))
    for key, values in impersonation.extra.items():
        for value in values:
            headers.add(f"Impersonate-Extra-{quote(key, safe=_SAFE_IN_NAMES)}", _for_header("as-user-extra", value))
    return headers
