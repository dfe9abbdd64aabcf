"""Which URLs and domains a link may have: well-formed, not banned, not on a blocklist."""

from __future__ import annotations

from collections.abc import Callable
from importlib import import_module
from typing import NamedTuple
from urllib.parse import urlsplit

from functions.edge.http import Request
from functions.edge.problem import Problem, unavailable
from functions.edge.runtime import Runtime
from functions.edge.settings import settings
from functions.kernel.errors import Rejected
from functions.kernel.views import ViewTable
from functions.shortener import targets
from functions.shortener.decider import DEFAULT_DOMAIN
from functions.shortener.directory import Directory, RecentDirectory
from functions.shortener.routing import is_api
from functions.shortener.terms import Accept

Blocklist = Callable[[str], str | None]
"""Takes an accepted URL; gives the reason to refuse it, or None."""


class Settings(NamedTuple):
    """What a function that admits is told by its environment.

    `blocklist_hook` is "package.module:function", a Blocklist; empty for none.
    """

    views_table: str
    public_url: str
    blocklist_hook: str = ""


class Admission:
    """Admits what a container's requests want to store."""

    def __init__(self, runtime: Runtime) -> None:
        config = settings(Settings, runtime.env)
        table = ViewTable(runtime.client("dynamodb"), config.views_table)
        self._directory = RecentDirectory(table, runtime.now, runtime.backoff().jitter)
        self._own_host = urlsplit(config.public_url).netloc.lower()
        self._hook = config.blocklist_hook
        self._blocklist: Blocklist | None = None

    def check_owner(self, request: Request) -> Directory | None:
        """The directory, if it could be read. Raises a 403 Problem for a caller who is banned."""
        known = self._directory.look()
        request.log.count("directory_failures", self._directory.failed)
        if known is not None and known.over_owner(request.caller.user) is not None:
            raise Problem(403, "owner_banned", "You may not create or change links.")
        return known

    def refusal(self, request: Request, owner: str, domain: str) -> str | None:
        """Why a link on this domain may not become this owner's, if it may not.

        Raises a 403 Problem for a caller who is banned, 503 where the domain's owner is not known.
        """
        known = self.check_owner(request)
        if known is not None and known.over_owner(owner) is not None:
            return "is banned"
        if domain == DEFAULT_DOMAIN or _known(known).owns(owner, domain):
            return None
        return "does not own the domain that the link is on"

    def lost(self, request: Request, domain: str) -> bool:
        """Whether a domain is somebody else's than the caller's. One that was released is nobody's.

        Raises a 503 Problem where the domain's owner is not known.
        """
        if domain == DEFAULT_DOMAIN:
            return False
        claimed = _known(self._directory.look()).domains.get(domain)
        return claimed is not None and claimed.owner != request.caller.user

    def accept(self, request: Request) -> Accept:
        """What takes the URLs and the domain of this request's links.

        Raises a 403 Problem for a caller who is banned.
        """
        known, owner = self.check_owner(request), request.caller.user
        directory = known or Directory()
        own_hosts = {self._own_host, request.host, *directory.domains}

        def accept(given: str, field: str) -> str:
            if field == "domain":
                return _domain(given, owner, known)
            url = targets.target(given, own_hosts, field)
            host = targets.host_of(url)
            if is_api(host, request):
                raise Rejected("leads back to this service", field)
            if directory.over_host(host) is not None:
                raise Rejected("is on a host that was banned", field)
            if (reason := self._blocked(url, request)) is not None:
                raise Rejected(reason, field)
            return url

        return accept

    def _blocked(self, url: str, request: Request) -> str | None:
        if not self._hook:
            return None
        try:
            self._blocklist = self._blocklist or _imported(self._hook)
            return self._blocklist(url)
        except Exception as error:
            # Somebody else's list may be down; links go on being made, and an alarm tells.
            request.log.count("blocklist_failures")
            request.log.add(blocklist_error=type(error).__name__)
            return None


def _domain(host: str, owner: str, directory: Directory | None) -> str:
    if not _known(directory).owns(owner, host):
        raise Rejected("is not yours", "domain")
    return host


def _known(directory: Directory | None) -> Directory:
    if directory is None:
        # Whose a domain is cannot be told, and must not be guessed.
        raise unavailable()
    return directory


def _imported(hook: str) -> Blocklist:
    module, _, name = hook.partition(":")
    found: Blocklist = getattr(import_module(module), name)
    return found
