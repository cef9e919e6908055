"""Where requests to receivers may go: to addresses of the public internet, and inside only where a host is named.

A host is resolved once for each connection, every address it has is checked, and the connection goes to one of those
that were: a name that means something else a moment later (DNS rebinding) changes nothing. What is checked is the
address, so its spelling (decimal, octal, IPv4 within IPv6) does not matter.
"""

from __future__ import annotations

import asyncio
import socket
from collections.abc import Callable, Collection, Iterator
from concurrent.futures import ThreadPoolExecutor
from ipaddress import IPv4Address, IPv6Address, IPv6Network, ip_address, ip_network

__all__ = ["AddressRefused", "Addresses", "host_name", "inside", "is_literal"]

#: Look-ups of one receiver under way at a time; more wait for them, and for no other receiver's.
_LOOKUPS = 4
#: IPv6 networks whose last 32 bits are an IPv4 address: NAT64's well-known prefix (RFC 6052), IPv4-compatible ones.
_IPV4_LAST = (IPv6Network("64:ff9b::/96"), IPv6Network("::/96"))
#: What IANA's registries of special addresses hold and some versions of Python take for public; of local-use NAT64
#: (RFC 8215) only the network knows where it leads.
_SPECIAL = tuple(map(ip_network, ("192.0.0.0/24", "64:ff9b:1::/48", "3fff::/20", "5f00::/16", "fec0::/10")))
#: Kinds of address that no name leads to, whatever the settings say: clouds keep credentials at a link-local one.
_NEVER_BY_NAME = frozenset({"link-local", "multicast", "unspecified"})

Lookup = Callable[[str, int], list[str]]


class AddressRefused(Exception):
    """A receiver's address is one that requests do not go to. The message says which and how to allow it."""


def inside(address: str) -> str:
    """What keeps requests from an IP address: ``loopback``, ``private``, ``link-local``, ...; empty where nothing does.

    Raises ValueError where it is none.
    """
    return next(filter(None, map(_kind, _meant(ip_address(address.partition("%")[0])))), "")


def _meant(ip: IPv4Address | IPv6Address) -> Iterator[IPv4Address | IPv6Address]:
    """The addresses that a packet to ``ip`` may end at, what lies within it first: some versions of Python call all of
    6to4 private, which a setting may allow, where a link-local address in it may never be asked.
    """
    if isinstance(ip, IPv4Address):
        yield ip
    elif ip.ipv4_mapped is not None:
        yield ip.ipv4_mapped
    else:
        if any(ip in network for network in _IPV4_LAST) and int(ip) > 1:
            yield IPv4Address(int(ip) & 0xFFFFFFFF)
        if ip.sixtofour is not None:
            yield ip.sixtofour
        if ip.teredo is not None:
            yield from ip.teredo
        yield ip


def _kind(ip: IPv4Address | IPv6Address) -> str:
    for kind in ("unspecified", "loopback", "link_local", "multicast"):
        if getattr(ip, f"is_{kind}"):
            return kind.replace("_", "-")
    return "private" if not ip.is_global or any(ip in network for network in _SPECIAL) else ""


def host_name(host: str) -> str:
    """A host as two spellings of it are compared."""
    bare = host.strip("[]").rstrip(".").lower()
    try:
        return bare.encode("idna").decode()
    except UnicodeError:
        return bare


def _look_up(host: str, port: int) -> list[str]:
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(address[0]) for *_, address in found))


class Addresses:
    """Finds one receiver's addresses."""

    def __init__(self, private_hosts: Collection[str] = (), *, lookup: Lookup = _look_up) -> None:
        """``private_hosts``: hosts, as receivers name them, that may be private or loopback. ``lookup`` may block."""
        self._private = {host_name(host) for host in private_hosts}
        self._lookup = lookup
        self._threads: ThreadPoolExecutor | None = None

    async def of(self, host: str, port: int) -> list[str]:
        """Where to connect, best first. Raises AddressRefused if any is refused, OSError where there is none."""
        if self._threads is None:
            # Not the loop's own threads: a resolver that hangs would keep them from the alert store.
            self._threads = ThreadPoolExecutor(_LOOKUPS, thread_name_prefix="resolve")
        found = await asyncio.get_running_loop().run_in_executor(self._threads, self._lookup, host, port)
        if not found:
            raise OSError(f"{host} has no address")
        for address in found:
            self.check(host, address)
        return found

    def check(self, host: str, address: str) -> None:
        """Raises AddressRefused where ``host`` may not be at ``address``."""
        kind = inside(address)
        named = host_name(host) in self._private
        if not kind or (named and (kind not in _NEVER_BY_NAME or (kind == "link-local" and is_literal(host)))):
            return
        if named:
            raise AddressRefused(f"its host is at a {kind} address, and no name may lead there")
        raise AddressRefused(f"its host is at a {kind} address: add it to private_hosts if that is meant")

    def close(self) -> None:
        threads, self._threads = self._threads, None
        if threads is not None:
            threads.shutdown(wait=False, cancel_futures=True)


def is_literal(host: str) -> bool:
    """Whether ``host`` is an IP address and no name."""
    try:
        ip_address(host_name(host).partition("%")[0])
    except ValueError:
        return False
    return True
