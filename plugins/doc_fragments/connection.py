# Copyright (c) 2026 coalmine.canary contributors
# GNU General Public License v3.0+ (see LICENSE or https://www.gnu.org/licenses/gpl-3.0.txt)
# SPDX-License-Identifier: GPL-3.0-or-later
from __future__ import annotations


class ModuleDocFragment:
    DOCUMENTATION = r"""
options:
  kubeconfig:
    description:
      - Path of a kubeconfig file, or the content of one as a dictionary.
      - On a local connection a relative path is looked for next to the playbook and in C(files/) there, and then where
        C(ansible-playbook) was called; a file that Ansible Vault has encrypted is decrypted.
      - Several paths separated by V(:) are merged, as in the environment variable E(KUBECONFIG). Files that are missing or
        empty are left out, and of entries with the same name the first counts.
      - Every field means what it means to C(kubectl), with every version of the Python library. What cannot be honoured is
        refused; that is a credential plugin that must be typed to, and an C(auth-provider) other than C(oidc). A field that
        no kubeconfig has is warned of. The C(namespace) of a context is not used.
      - A C(tokenFile) is read again about once a minute, and a credential plugin is run again when what it gave has expired;
        both at once when the server no longer accepts them.
      - If neither this nor O(host) is given, E(K8S_AUTH_KUBECONFIG), E(KUBECONFIG), V(~/.kube/config) and at last the
        service account of the pod that this runs in are tried, in this order.
      - Of a dictionary only what is secret is masked in results, so that other values of it may be shown. The text of a
        kubeconfig is refused; the filter P(ansible.builtin.from_yaml#filter) makes a dictionary of it.
    type: raw
  context:
    description:
      - Name of the context in the kubeconfig. E(K8S_AUTH_CONTEXT) is used if this is not given.
      - If there is neither, the current context of the kubeconfig counts.
    type: str
  host:
    description:
      - URL of the API server. E(K8S_AUTH_HOST) is used if this is not given, or empty, as a variable that was not set.
      - Where E(K8S_AUTH_HOST) is set, as by AWX's credential for Kubernetes, and a task names its cluster by O(kubeconfig), O(context) or
        another O(host), the task counts. That server is not asked then, and what the environment says with it
        (E(K8S_AUTH_API_KEY), certificates, verification) is sent to no other. The same holds beside E(K8S_AUTH_KUBECONFIG) for a task with
        another O(kubeconfig) or an O(host).
      - A task that gives this, but neither O(kubeconfig) nor O(context), takes nothing of a kubeconfig that the environment names, or of the
        pod that it runs in, unless that is of the same server. Otherwise their credentials would be sent to another one.
    type: str
  api_key:
    description:
      - Bearer token; whitespace around it is left out. E(K8S_AUTH_API_KEY) is used if this is not given.
    type: str
  username:
    description:
      - User name for basic authentication, which only a proxy before the API server may still know.
        E(K8S_AUTH_USERNAME) is used if this is not given.
    type: str
  password:
    description:
      - Password for basic authentication. E(K8S_AUTH_PASSWORD) is used if this is not given.
    type: str
  client_cert:
    description:
      - Path of a client certificate. E(K8S_AUTH_CLIENT_CERT) or E(K8S_AUTH_CERT_FILE) is used if this is not given.
    type: path
    aliases: [cert_file]
  client_key:
    description:
      - Path of the client certificate's key. E(K8S_AUTH_CLIENT_KEY) or E(K8S_AUTH_KEY_FILE) is used if this is not
        given.
    type: path
    aliases: [key_file]
  ca_cert:
    description:
      - Path of the certificates that the server's certificate is verified against. E(K8S_AUTH_CA_CERT) or
        E(K8S_AUTH_SSL_CA_CERT) is used if this is not given.
    type: path
    aliases: [ssl_ca_cert]
  validate_certs:
    description:
      - Whether the server's certificate is verified. E(K8S_AUTH_VALIDATE_CERTS) or E(K8S_AUTH_VERIFY_SSL) is used if
        this is not given, and then the kubeconfig. It is verified unless one of them says otherwise.
    type: bool
    aliases: [verify_ssl]
  proxy:
    description:
      - URL of a proxy, beginning with V(http://), V(https://) or, with PySocks, V(socks5://). E(K8S_AUTH_PROXY) is used if
        this is not given, then C(proxy-url) of the kubeconfig, then E(HTTPS_PROXY) or E(HTTP_PROXY).
    type: str
  no_proxy:
    description:
      - Comma separated hosts, domains and networks that are reached without the proxy. E(K8S_AUTH_NO_PROXY) is used if
        this is not given.
    type: str
  proxy_headers:
    description:
      - Headers for the proxy. Each of them is also taken from an environment variable that is called
        C(K8S_AUTH_PROXY_HEADERS_) and its name in upper case, if this option is not given.
    type: dict
    suboptions:
      proxy_basic_auth:
        description:
          - User name and password for the proxy, separated by a colon.
        type: str
      basic_auth:
        description:
          - User name and password for basic authentication, separated by a colon.
        type: str
      user_agent:
        description:
          - What the proxy is told about the client.
        type: str
  persist_config:
    description:
      - Whether refreshed tokens are written back to the kubeconfig file. E(K8S_AUTH_PERSIST_CONFIG) is used if this is
        not given.
    type: bool
  impersonate_user:
    description:
      - User to act as. E(K8S_AUTH_IMPERSONATE_USER) is used if this is not given.
    type: str
  impersonate_groups:
    description:
      - Groups to act as a member of. E(K8S_AUTH_IMPERSONATE_GROUPS), comma separated, is used if this is not given.
    type: list
    elements: str
requirements:
  - python >= 3.10
  - kubernetes >= 24.2
"""
