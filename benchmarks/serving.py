"""Measure the throughput and the response times of `audiozoo serve`, beside `predict_many` in the same run.

    python benchmarks/serving.py ESC-50/ [CLASSIFIER] [--clients 1,8,32] [--workers 1,2] [--seconds 20]

The server runs in a process of its own. The clients are threads of another process on the same machine, and share its cores.
The uploads are clips of ESC-10 as they are on the disk. The ratio is that of the throughputs of server and `predict_many`.
"""

import argparse
import http.client
import itertools
import os
import socket
import statistics
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from long_recordings import clips_of

FILES = 80
HEAD = b"POST /predict?top=1 HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n"


def free_port():
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return one.getsockname()[1]


@contextmanager
def server(classifier, port, workers):
    command = [sys.executable, "-m", "audiozoo", "serve", classifier, "--port", str(port), "--workers", str(workers)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as process:
        try:
            while not answers(port):
                if process.poll() is not None:
                    raise SystemExit(f"the server ended with the status {process.returncode}")
                time.sleep(0.2)
            yield
        finally:
            process.terminate()


def answers(port):
    connection = http.client.HTTPConnection("127.0.0.1", port)
    try:
        connection.request("GET", "/health")
        return connection.getresponse().status == 200
    except OSError:
        return False
    finally:
        connection.close()


def client(port, contents, number, until):
    """Send sounds over one connection until a time; return the response times (seconds)."""
    times = []
    with socket.create_connection(("127.0.0.1", port)) as connection:
        # As HTTP clients do. Otherwise the last packet of an upload waits for the kernel's delayed acknowledgement, 40 ms.
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        for content in itertools.cycle(contents[number % len(contents) :] + contents[: number % len(contents)]):
            begin = time.perf_counter()
            if begin > until:
                return times
            connection.sendall(HEAD % len(content) + content)
            status = read_response(connection)
            if status != b"200":
                raise SystemExit(f"status {status}")
            times.append(time.perf_counter() - begin)


def read_response(connection):
    """Read a response to its end; return its status. `http.client` takes several times as long, which the server would lack."""
    received = b""
    while b"\r\n\r\n" not in received:
        received += connection.recv(1 << 16)
    head, _, body = received.partition(b"\r\n\r\n")
    length = int(head.lower().partition(b"content-length:")[2].split()[0])
    while len(body) < length:
        body += connection.recv(1 << 16)
    return head.split()[1]


def load(port, contents, clients, seconds):
    begin = time.perf_counter()
    with ThreadPoolExecutor(clients) as pool:
        lists = pool.map(lambda number: client(port, contents, number, begin + seconds), range(clients))
        times = list(itertools.chain.from_iterable(lists))
    return len(times) / (time.perf_counter() - begin), times


def bare(classifier, paths, seconds):
    """Run `predict_many` over files, as often as fits, in a process of its own; return files a second."""
    code = (
        "import sys, time, itertools, audiozoo\n"
        "one, paths, seconds = audiozoo.load_classifier(sys.argv[1]), sys.argv[3:], float(sys.argv[2])\n"
        "list(one.predict_many(paths))\n"
        "begin, done = time.perf_counter(), 0\n"
        "for _ in one.predict_many(itertools.cycle(paths)):\n"
        "    done += 1\n"
        "    if time.perf_counter() > begin + seconds: break\n"
        "print(done / (time.perf_counter() - begin))\n"
    )
    command = [sys.executable, "-c", code, classifier, str(seconds), *map(str, paths)]
    return float(subprocess.run(command, check=True, capture_output=True, text=True).stdout)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("root", type=Path)
    parser.add_argument("classifier", nargs="?", default="house_cnn/esc10")
    parser.add_argument("--clients", default="1,8,32")
    parser.add_argument("--workers", default="1,2")
    parser.add_argument("--seconds", type=float, default=20)
    given = parser.parse_args()
    paths = clips_of(given.root)[:FILES]
    contents = [path.read_bytes() for path in paths]
    rate = bare(given.classifier, paths, given.seconds)
    print(f"{given.classifier}, load of the machine {os.getloadavg()[0]:.1f}; predict_many: {rate:.0f} files/s\n")
    print("| workers | clients | sounds/s | ratio | median, ms | p95, ms | p99, ms |")
    print("| ---: | ---: | ---: | ---: | ---: | ---: | ---: |")
    for workers in map(int, given.workers.split(",")):
        port = free_port()
        with server(given.classifier, port, workers):
            load(port, contents, 32, 3 * workers)  # the first batches of each size compile, in each worker
            for clients in map(int, given.clients.split(",")):
                throughput, times = load(port, contents, clients, given.seconds)
                print(row(workers, clients, throughput, throughput / rate, times), flush=True)


def row(workers, clients, throughput, ratio, times):
    at = [1e3 * value for value in statistics.quantiles(times, n=100)]
    return f"| {workers} | {clients} | {throughput:.0f} | {ratio:.2f} | {at[49]:.0f} | {at[94]:.0f} | {at[98]:.0f} |"


if __name__ == "__main__":
    main()
