"""The attacks, as data: who sends what, how many at once, and what they must see.

What is sent stands in ``http_weapons.py``, ``http2_weapons.py`` and ``grpc_weapons.py``, by the name in ``weapon``.
"""

from __future__ import annotations

from dataclasses import dataclass

HELD, CUT = "held", "cut"
"""An exchange that nobody had ended when the time was over, and one that ended without an answer."""

STRANGER, GUESSER, TENANT, LIMITED = "nobody", "guesser", "a tenant", "limited"
"""Without a key, with keys made up, with one that has rights, with one of five requests a minute."""
FOUR_TENANTS = "four tenants"

# Whoever still sends seconds after it was refused is cut, and may not have read why.
_REFUSED_BODY = frozenset({"400", "429", CUT})
_BUSY = frozenset({"429", "503"})
_GRPC_BUSY = frozenset({"RESOURCE_EXHAUSTED", "UNAVAILABLE"})


@dataclass(frozen=True)
class Attack:
    """One row: attackers in a process of their own, ``at_once`` exchanges under way, each followed by the next."""

    name: str
    who: str
    weapon: str
    at_once: int
    sees: frozenset[str]
    """Every answer that is right: a status of HTTP, a code of gRPC, ``CUT``. ``HELD`` always is: it says how fast a machine is."""
    over_tls: bool = False

    @property
    def tenants(self) -> tuple[str, ...]:
        """Whose keys the attackers have: no other attack's, as a key that was refused often is refused for a while."""
        count = {TENANT: 1, LIMITED: 1, FOUR_TENANTS: 4}.get(self.who, 0)
        kind = LIMITED if self.who == LIMITED else "tenant"
        return tuple(f"{kind}-{self.weapon}-{number}" for number in range(count))


ATTACKS = (
    Attack("32 MiB of tiny turns", TENANT, "tiny_turns", 4, _REFUSED_BODY),
    Attack("27 MiB of unknown members", TENANT, "unknown_members", 4, _REFUSED_BODY),
    Attack("a limited key that goes on, 8 MiB each", LIMITED, "going_on", 8, frozenset({"200", "429", CUT})),
    Attack("gzip of 1 GiB", TENANT, "gzip_bomb", 16, _REFUSED_BODY | {"413"}),
    Attack("gzip of 31 MiB in small elements", TENANT, "gzip_of_elements", 8, _REFUSED_BODY),
    Attack("valid images of 30 MiB, four tenants", FOUR_TENANTS, "image", 4, frozenset({"200", CUT}) | _BUSY),
    Attack("a name of a model in each request", TENANT, "unknown_model", 32, frozenset({"404", "429"})),
    Attack("keys guessed over HTTP", GUESSER, "guess", 1500, frozenset({"401", "429"})),
    Attack("heads that never end", STRANGER, "slow_head", 1000, frozenset({CUT, "408"})),
    Attack("bodies that never end", TENANT, "slow_body", 400, frozenset({CUT, "408", "429"})),
    Attack("answers that nobody reads, HTTP/1.1", TENANT, "deaf", 64, frozenset({CUT, "429", "504"})),
    Attack(
        "answers that nobody reads, HTTP/2", TENANT, "deaf_http2", 64, frozenset({CUT, "429", "504"}), True
    ),
    Attack(
        "2,000 streams on a connection, HTTP/2", TENANT, "many_streams", 2, frozenset({"200", "429", "refused", CUT}), True
    ),
    Attack("16 MiB array at the typed API, no key", STRANGER, "typed_array", 8, frozenset({"401"})),
    Attack("16 MiB array at the typed API", TENANT, "typed_array", 8, _REFUSED_BODY | _BUSY),
    Attack("32 MiB of elements over gRPC, no key", STRANGER, "grpc_elements", 16, frozenset({"UNAUTHENTICATED"})),
    Attack(
        "32 MiB of elements over gRPC", TENANT, "grpc_elements", 16,
        frozenset({"INVALID_ARGUMENT"}) | _GRPC_BUSY,
    ),
    Attack("garbage over gRPC, no key", STRANGER, "grpc_garbage", 32, frozenset({"UNAUTHENTICATED"})),
    Attack("garbage over gRPC", TENANT, "grpc_garbage", 32, frozenset({"INVALID_ARGUMENT"}) | _GRPC_BUSY),
    Attack("keys guessed over gRPC", GUESSER, "grpc_guess", 1500, frozenset({"UNAUTHENTICATED"}) | _GRPC_BUSY),
    Attack(
        "answers that nobody reads, gRPC", TENANT, "grpc_deaf", 64,
        frozenset({"DEADLINE_EXCEEDED"}) | _GRPC_BUSY,
    ),
    Attack("2,000 streams on a connection, gRPC", TENANT, "grpc_streams", 2000, frozenset({"OK"}) | _GRPC_BUSY),
)  # fmt: skip
