"""What is rehearsed: how long pods take to start, what they can do, and what load of one is."""

from __future__ import annotations

from autoscaling.service import Kind

_DOORS = (0.95, 0.8, 0.7)
"""What critical, default and sheddable requests find of a room while critical ones come (docs/operations.md)."""

KINDS = (
    # A core of a gateway is worth 400 requests a second (bench/README.md) and its request is half a core; a pod is scheduled,
    # starts in 2 to 9 s and is found by its probe. Streams of 4 s.
    Kind(
        name="gateway", role="gateway", about="streams of 4 s; requests in flight decide", start_seconds=20, at_once=1600,
        mean_seconds=4, spread=0.6, room=8192, room_shares=_DOORS, patience_seconds=30, one_queue=False, cores=2.0, base=160,
        least=2, most=48,
    ),
    Kind(
        name="gateway-short", role="gateway", about="answers of 1 s; CPU decides", start_seconds=20, at_once=400,
        mean_seconds=1, spread=0.4, room=8192, room_shares=_DOORS, patience_seconds=30, one_queue=False, cores=2.0, base=400,
        least=2, most=48,
    ),
    # vLLM batches 32 at once; a large model takes minutes to load. `limits` of the upstream: 1000 wait, for 10 s.
    Kind(
        name="triton", role="triton", about="answers of 10 s, four minutes to load the model", start_seconds=240, at_once=32,
        mean_seconds=10, spread=0.6, room=1000, room_shares=(1, 1, 1), patience_seconds=10, one_queue=True, cores=0, base=2.4,
        least=1, most=32,
    ),
    Kind(
        name="triton-from-none", role="triton", about="the same, none while nobody asks", start_seconds=240, at_once=32,
        mean_seconds=10, spread=0.6, room=1000, room_shares=(1, 1, 1), patience_seconds=10, one_queue=True, cores=0, base=0.8,
        least=0, most=12,
    ),
)  # fmt: skip
BY_NAME = {kind.name: kind for kind in KINDS}
