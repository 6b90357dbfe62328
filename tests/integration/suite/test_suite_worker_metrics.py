"""The page of several workers, of which one dies as it is asked."""

import socket
import threading

from prometheus_client import CollectorRegistry, generate_latest, start_http_server

from penstock_common.telemetry.metrics import Counters
from penstock_suite.adapters.worker_metrics import WorkerMetrics


def test_a_worker_that_dies_within_its_answer_leaves_the_others_there():
    own = CollectorRegistry()
    Counters(own, "penstock_x_total", "X.", ()).add(())
    server, thread = start_http_server(0, "127.0.0.1", own)
    with socket.create_server(("127.0.0.1", 0)) as dying:

        def die() -> None:
            connection, _ = dying.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(b"HTTP/1.1 200 OK\r\ncontent-length: 1000\r\n\r\n# TYPE x counter\n")

        dies = threading.Thread(target=die)
        dies.start()
        merged = CollectorRegistry()
        addresses = {"w0": f"127.0.0.1:{dying.getsockname()[1]}", "w1": f"127.0.0.1:{server.server_port}"}
        merged.register(WorkerMetrics(addresses))
        try:
            page = generate_latest(merged).decode()
        finally:
            dies.join()
            server.shutdown()
            server.server_close()
            thread.join()
    assert 'penstock_x_total{worker="w1"} 1.0' in page
    assert "w0" not in page
