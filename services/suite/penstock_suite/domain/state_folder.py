"""What lies where in the one folder that a local stack keeps."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from pathlib import Path

# sun_path holds 108 bytes with its closing zero (unix(7)).
_MAX_SOCKET_PATH_BYTES = 107
_LONGEST_SOCKET_NAME = "worker-99-grpc.sock"


@dataclass(frozen=True, slots=True)
class StateFolder:
    """Paths below ``root``, and of the sockets, which move to ``/tmp`` when ``root`` is too long for them."""

    root: Path
    user_id: int = 0

    @property
    def demo_key(self) -> Path:
        """The key that the stack gives its demo tenant."""
        return self.root / "demo-key"

    @property
    def operator_key(self) -> Path:
        """The key that administers the stack and sees its status."""
        return self.root / "operator-key"

    @property
    def edge_token(self) -> Path:
        """What the edge proves itself to the gateway with."""
        return self.root / "edge-token"

    @property
    def key_pepper(self) -> Path:
        """The secret that keys are digested with."""
        return self.root / "key-pepper"

    @property
    def cache_key(self) -> Path:
        """The secret that cached answers are sealed with."""
        return self.root / "cache-key"

    @property
    def knowledge_key(self) -> Path:
        """The secret that documents are sealed with."""
        return self.root / "knowledge-key"

    @property
    def cache_keys(self) -> Path:
        """The folder of tenants' wrapped keys, or of the times at which they were shredded."""
        return self.root / "cache-keys"

    @property
    def triton_key(self) -> Path:
        """The secret of whoever loads and unloads the local Triton's models."""
        return self.root / "triton-key"

    @property
    def database(self) -> Path:
        """Ledger and keys."""
        return self.root / "penstock.db"

    @property
    def redis(self) -> Path:
        """Redis' append-only file."""
        return self.root / "redis"

    @property
    def models(self) -> Path:
        """Prepared embedding models."""
        return self.root / "models"

    @property
    def vectors(self) -> Path:
        """What the embedded engine keeps."""
        return self.root / "vectors"

    @property
    def knowledge_vectors(self) -> Path:
        """What the embedded engine keeps of documents."""
        return self.root / "knowledge-vectors"

    @property
    def lock(self) -> Path:
        """Held by the stack that runs on this folder."""
        return self.root / "lock"

    @property
    def run_record(self) -> Path:
        """What runs now; absent when nothing does."""
        return self.root / "run.json"

    @property
    def last_reload(self) -> Path:
        """What became of the last reload of the stack that runs; absent before the first."""
        return self.root / "reload.json"

    @property
    def revisions(self) -> Path:
        """The folder where each process notes which revision of the configuration it runs."""
        return self.root / "revisions"

    def log(self, part: str) -> Path:
        """Return the log file of a part."""
        return self.root / "logs" / f"{part}.log"

    @property
    def sockets(self) -> Path:
        """The folder of the unix sockets, 0700."""
        if len(str(self.root / "sockets" / _LONGEST_SOCKET_NAME).encode()) <= _MAX_SOCKET_PATH_BYTES:
            return self.root / "sockets"
        digest = hashlib.sha256(str(self.root).encode()).hexdigest()[:12]
        return Path(f"/tmp/penstock-{self.user_id}-{digest}")

    @property
    def gateway_socket(self) -> Path:
        """Where the gateway serves the wire formats to the edge."""
        return self.sockets / "gateway.sock"

    @property
    def gateway_grpc_socket(self) -> Path:
        """Where the gateway serves gRPC to the edge and to commands on this machine."""
        return self.sockets / "gateway-grpc.sock"

    def worker_http_socket(self, worker: str) -> Path:
        """Where a worker serves the wire formats to the edge."""
        return self.sockets / f"{worker}-http.sock"

    def worker_grpc_socket(self, worker: str) -> Path:
        """Where a worker serves gRPC to the edge."""
        return self.sockets / f"{worker}-grpc.sock"

    def worker_plan(self, worker: str) -> Path:
        """What a worker is told when it starts."""
        return self.root / "workers" / f"{worker}.json"

    @property
    def embedding_socket(self) -> Path:
        """Where the embedding service listens to workers."""
        return self.sockets / "embedding.sock"

    @property
    def points_socket(self) -> Path:
        """Where the vectors' engine listens to workers."""
        return self.sockets / "points.sock"

    @property
    def redis_socket(self) -> Path:
        """Where Redis listens."""
        return self.sockets / "redis.sock"

    def folders(self) -> tuple[Path, ...]:
        """Return every folder that must exist, parents first."""
        own = (self.redis, self.models, self.root / "logs", self.root / "workers", self.revisions)
        return (self.root, *own, self.sockets)
