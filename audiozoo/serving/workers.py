"""Several server processes on one port, each with its own model and its own share of the cores."""

from __future__ import annotations

import multiprocessing
import os
import socket
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from typing import NamedTuple

from audiozoo.checks import require_count
from audiozoo.processes import ignore_interrupts, without_interrupts
from audiozoo.serving.limits import Limits
from audiozoo.serving.monitoring import shared_measurements
from audiozoo.threads import thread_count

PAUSE = 1.0
"""Time between the end of a worker and the start of the next (seconds)."""

PATIENCE = 30.0
"""Longest time that requests have to end when the server stops (seconds)."""

_READY = None


def _nothing() -> None:
    pass


class Task(NamedTuple):
    """Settings of the server that its workers share.

    Args:
        classifier: Path or name of the classifier, see `load_classifier`.
        limits: Bounds on requests, for each worker: the kernel does not look at how many wait where.
        host: Address to listen on.
        port: Port to listen on.
        workers: Number of workers.
        prepare: Function that each worker calls first.
    """

    classifier: str
    limits: Limits
    host: str
    port: int
    workers: int
    prepare: Callable[[], object] = _nothing


def serve_workers(task: Task, started: Callable[[int], object] = lambda port: None) -> None:
    """Serve with several processes until Ctrl-C or SIGTERM. A worker that ends is replaced.

    The kernel divides new connections between the processes. If there are enough cores, each worker keeps to its share of them.

    Args:
        task: Settings of the server; port 0 takes a free one.
        started: Function that is told the port when all workers can serve.

    Raises:
        OSError: The port is taken, the system cannot divide connections between processes, or a worker ended before it could
            serve.
        ValueError: A worker cannot load the classifier, or the number of workers is not positive.
    """
    require_count("workers", task.workers, 1, 1024)
    with reserved_port(task.host, task.port) as port, tempfile.TemporaryDirectory() as folder, shared_measurements(folder):
        team = _Team(task._replace(port=port), folder)
        try:
            team.begin()
            started(port)
            team.watch()
        finally:
            team.stop()


@contextmanager
def reserved_port(host: str, port: int) -> Iterator[int]:
    """Context manager that holds a port for the workers, and gives its number.

    Raises:
        OSError: The port is taken, or the system cannot divide connections between processes.
    """
    if not sys.platform.startswith("linux"):
        raise OSError(f"several workers on one port need Linux, this is {sys.platform}: use --workers 1")
    with ExitStack() as held:
        try:
            family = _family(host, port)
            # Sockets that share a port may belong to two servers, so this one, which shares nothing, must find it free.
            with _socket(family) as probe:
                probe.bind((host, port))
                port = probe.getsockname()[1]
            # Until its workers listen, another server would find it free too. A name that no file has ends with the process.
            held.enter_context(socket.socket(socket.AF_UNIX)).bind(f"\0audiozoo-serve-{port}")
            held.enter_context(_socket(family, shared=True)).bind((host, port))
        except OSError as error:
            raise OSError(
                f"cannot listen on port {port} of {host} ({error}): choose another --host or --port; 0 is a free port"
            ) from None
        yield port


def _family(host: str, port: int) -> int:
    return socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]


def _socket(family: int, *, shared: bool = False) -> socket.socket:
    # asyncio sends answers without delay only on a socket that names its protocol: otherwise each takes 40 ms more.
    one = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    if shared:
        one.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEPORT, 1)
    return one


class _Worker(NamedTuple):
    process: BaseProcess
    messages: Connection

    def check(self) -> None:
        """Wait until the worker can serve, or raise an error."""
        wait([self.messages, self.process.sentinel])
        try:
            message = self.messages.recv() if self.messages.poll() else ""
        except EOFError:
            message = ""
        if message is _READY:
            return
        if message:
            raise ValueError(message)
        self.process.join()
        raise ChildProcessError(
            f"a worker ended with the status {self.process.exitcode} before it could serve; -9 can mean too little memory, "
            "then use fewer --workers"
        )


class _Team:
    """The workers, which it starts, replaces and stops."""

    def __init__(self, task: Task, folder: str) -> None:
        self._task, self._folder = task, folder
        self._workers: list[_Worker] = []

    def _start(self, place: int) -> _Worker:
        # A forked process would share the locks of the threads that run here.
        context = multiprocessing.get_context("spawn")
        messages, sender = context.Pipe(duplex=False)
        name = f"audiozoo-serve-{place}"
        process = context.Process(target=_work, args=(self._task, place, sender), name=name, daemon=True)
        with without_interrupts():
            process.start()
        sender.close()
        return _Worker(process, messages)

    def begin(self) -> None:
        """Start the workers, and wait until all of them can serve."""
        for place in range(self._task.workers):
            self._workers.append(self._start(place))
        for worker in self._workers:
            worker.check()

    def watch(self) -> None:
        """Replace workers that end, for ever."""
        while True:
            ended = wait([worker.process.sentinel for worker in self._workers])
            for place, worker in enumerate(self._workers):
                if worker.process.sentinel in ended:
                    self._workers[place] = self._replaced(place, worker)

    def _replaced(self, place: int, worker: _Worker) -> _Worker:
        from prometheus_client.multiprocess import mark_process_dead

        worker.process.join()
        mark_process_dead(worker.process.pid, self._folder)
        worker.messages.close()
        time.sleep(PAUSE)
        return self._start(place)

    def stop(self) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.process.terminate()
        end = time.monotonic() + PATIENCE
        for worker in self._workers:
            worker.process.join(max(0.0, end - time.monotonic()))
            worker.process.kill()
            worker.messages.close()


def _work(task: Task, place: int, sender: Connection) -> None:
    """Serve in this process, one of several."""
    ignore_interrupts()  # the parent ends this process while it loads; later the server heeds them
    keep_to_share(place, task.workers)
    task.prepare()
    try:
        import uvicorn

        from audiozoo.classifier import load_classifier
        from audiozoo.serving.service import create_app

        app = create_app(load_classifier(task.classifier), limits=task.limits)
        listening = _socket(_family(task.host, task.port), shared=True)
        listening.bind((task.host, task.port))
    except (OSError, ValueError, ImportError, MemoryError) as error:
        sender.send(str(error) or type(error).__name__)
        raise SystemExit(2) from None
    server = uvicorn.Server(uvicorn.Config(app, log_level="warning", access_log=False))
    threading.Thread(target=_follow_parent, args=(server,), daemon=True).start()
    sender.send(_READY)
    with listening:
        server.run(sockets=[listening])


def _follow_parent(server: object) -> None:
    """End the server when its parent ends, even if that was killed."""
    if parent := multiprocessing.parent_process():
        parent.join()
        server.should_exit = True  # type: ignore[attr-defined]


def keep_to_share(place: int, workers: int) -> None:
    """Restrict this process to its share of the cores, unless there are fewer cores than workers.

    Threads of several workers on the same cores would take turns, and each library would start as many as there are cores.

    Args:
        place: Number of this worker, from 0.
        workers: Number of workers.
    """
    if thread_count(-1) >= workers and hasattr(os, "sched_setaffinity"):
        os.sched_setaffinity(0, sorted(os.sched_getaffinity(0))[place::workers])
