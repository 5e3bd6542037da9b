"""Connection to a Ray cluster, and checks that its nodes can do the work."""

from __future__ import annotations

import logging
import os
import pkgutil
import socket
from typing import Any
from urllib.parse import urlsplit

from audiozoo._version import __version__

HERE = "ray"
"""Address of the cluster of this machine: the one that ``RAY_ADDRESS`` names or that runs here, or else a new one."""

NAME = "audiozoo._version:__version__"
"""Name of the version, for `pkgutil.resolve_name`."""

_PATIENCE = 120.0  # seconds for an answer of a node; it may have to start a process first
_KNOCK = 5.0  # seconds for a connection


def connect(address: str = HERE) -> Any:
    """Connect this process to a Ray cluster, unless it is connected already, and check the nodes.

    Args:
        address: "ray" for the cluster of this machine, see `HERE`, or ``ray://HOST:PORT`` for the client server of another one.

    Returns:
        The module `ray`.

    Raises:
        ImportError: Ray is not installed.
        ValueError: The address has another form.
        ConnectionError: There is no cluster at the address, its versions of Ray or Python differ from those here, or a node
            lacks audiozoo or has another version of it.
    """
    host = _checked(address)
    try:
        import ray
        import ray.data
    except ImportError as error:
        raise ImportError(f"a cluster needs Ray ({error}): pip install 'audiozoo[scale]'") from None
    if not ray.is_initialized():
        _join(ray, address, host)
    _check_nodes(ray)
    return ray


def passed_on() -> dict[str, str]:
    """Return the environment variables that the processes of the cluster get from this one."""
    return {name: os.environ[name] for name in ("KERAS_BACKEND", "TF_CPP_MIN_LOG_LEVEL") if name in os.environ}


def is_client(ray: Any) -> bool:
    """Return whether this process is a client of a cluster (``ray://``), and no part of it."""
    return bool(ray.util.client.ray.is_connected())


def _checked(address: str) -> tuple[str, int] | None:
    """Return the host and the port of an address, or `None` for this machine."""
    if address == HERE:
        return None
    parts = urlsplit(address)
    try:
        host, port = parts.hostname, parts.port
    except ValueError:  # the port is no number
        host = port = None
    if parts.scheme != "ray" or not host or not port:
        raise ValueError(f"a cluster's address is 'ray' or 'ray://HOST:PORT', such as ray://10.0.0.1:10001, got {address!r}")
    return host, port


def _join(ray: Any, address: str, host: tuple[str, int] | None) -> None:
    # Ray prints the messages of all processes, such as those of TensorFlow about the processor, between the answers.
    quiet = {"log_to_driver": False, "logging_level": logging.ERROR}
    try:
        if host:
            socket.create_connection(host, timeout=_KNOCK).close()  # Ray itself would try for half a minute
            ray.init(address, **quiet)
        else:
            ray.init(include_dashboard=False, **quiet)
    except (OSError, RuntimeError) as error:
        where = address if host else os.environ.get("RAY_ADDRESS", "this machine")
        reason = " ".join(str(error).split())
        raise ConnectionError(
            f"{where}: no cluster that this process can use ({reason}): start one with `ray start --head`, with the same "
            "versions of Ray and Python as here; one that asks for a token needs RAY_AUTH_MODE=token and RAY_AUTH_TOKEN"
        ) from error
    logging.getLogger("ray.data").setLevel(logging.ERROR)


def _check_nodes(ray: Any) -> None:
    """Raise an error unless each node has this version of the package."""
    from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy as On

    # A function of this package could not even be loaded on a node without it.
    ask = ray.remote(num_cpus=0, max_retries=0)(pkgutil.resolve_name)
    nodes = {node["NodeID"]: node["NodeManagerHostname"] for node in ray.nodes() if node["Alive"]}
    asked = {number: ask.options(scheduling_strategy=On(number, soft=False)).remote(NAME) for number in nodes}
    found = {nodes[number]: version for number, answer in asked.items() if (version := _version(ray, answer))}
    if not found:
        raise ConnectionError(f"none of the {len(nodes)} nodes of the cluster answers within {_PATIENCE:g} s: see `ray status`")
    for node, version in found.items():
        if version != __version__:
            raise ConnectionError(
                f"the node {node} of the cluster has {version}, and here is audiozoo {__version__}: "
                f"install this version there, pip install 'audiozoo[scale]=={__version__}'"
            )


def _version(ray: Any, answer: Any) -> str | None:
    """Return the version on a node; `None` for a node that does not answer, such as one that has just been lost."""
    try:
        return str(ray.get(answer, timeout=_PATIENCE))
    except ImportError:
        return "no audiozoo"
    except ray.exceptions.RayError:
        return None
