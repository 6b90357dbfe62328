"""What all processes may ask of upstreams together, kept in Redis: it lends, each process spends, and nobody asks for each request.

A budget is one number, when all that was lent will have been earned again, on Redis' own clock: the same virtual clock as
``domain/load/allowance``. Beside it stands who is there, so that each process knows its share for when Redis is away.
"""

from __future__ import annotations

import asyncio
import secrets
from contextlib import suppress
from weakref import WeakSet

import structlog
from redis.exceptions import ResponseError

from penstock_common.background import StartWork
from penstock_common.redis_connection import RedisConnection, RedisUnavailable, Script
from penstock_inference.domain.load.allowance import SECONDS_PER_MINUTE, seconds_ahead
from penstock_inference.domain.load.budgets import Fellows
from penstock_inference.domain.load.shared_allowance import BudgetName, Loan, SharedAllowance

KEY = "penstock:limits"
_PROCESSES = f"{KEY}:processes"
GONE_MILLISECONDS = 10_000
"""A process that has said nothing for so long is not there any more."""

# KEYS: budget. ARGV: microseconds that a unit takes to be earned, and for which units may be used ahead; the least that is
# wanted, and the most. Returns: units, microseconds until the least will be there, microseconds that are used ahead now.
_LEND = Script(
    """
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local unit, most = tonumber(ARGV[1]), tonumber(ARGV[2])
    local ahead = math.max(0, (tonumber(redis.call('GET', KEYS[1]) or 0) or 0) - now)
    local least = tonumber(ARGV[3])
    local wait = ahead + math.min(least * unit, most) - most
    local units = 0
    if wait <= 0 then
        wait = 0
        units = math.max(least, math.min(tonumber(ARGV[4]), (most - ahead) / unit))
        ahead = ahead + units * unit
        if units > 0 then
            local life = math.ceil(ahead / 1000) + 1
            redis.call('SET', KEYS[1], string.format('%.0f', now + ahead), 'PX', life)
        end
    end
    return {string.format('%.17g', units), math.ceil(wait), math.ceil(ahead)}
    """
)
# KEYS: budget. ARGV: microseconds that are given back, or (below 0) were used without asking.
_GIVE_BACK = Script(
    """
    local time = redis.call('TIME')
    local now = time[1] * 1000000 + time[2]
    local ahead = math.max(0, (tonumber(redis.call('GET', KEYS[1]) or 0) or 0) - now) - ARGV[1]
    if ahead > 0 then
        redis.call('SET', KEYS[1], string.format('%.0f', now + ahead), 'PX', math.ceil(ahead / 1000) + 1)
    else
        redis.call('DEL', KEYS[1])
    end
    return 0
    """
)
# KEYS: processes. ARGV: name, milliseconds after which who says nothing is gone. Returns: rank, how many.
_BEAT = Script(
    """
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    redis.call('HSET', KEYS[1], ARGV[1], now)
    local all = redis.call('HGETALL', KEYS[1])
    local rank, count = 0, 0
    for i = 1, #all, 2 do
        if (tonumber(all[i + 1]) or 0) < now - tonumber(ARGV[2]) then
            redis.call('HDEL', KEYS[1], all[i])
        else
            count = count + 1
            if all[i] < ARGV[1] then rank = rank + 1 end
        end
    end
    redis.call('PEXPIRE', KEYS[1], 10 * ARGV[2])
    return {rank, count}
    """
)

_log = structlog.get_logger(__name__)


class SharedLimits:
    """Implements ``budgets.Sharing`` with Redis, and finds out whether it is there."""

    def __init__(self, connection: RedisConnection, in_background: StartWork) -> None:
        self._connection = connection
        self._in_background = in_background
        self._name = secrets.token_hex(8)
        self._budgets: WeakSet[SharedAllowance] = WeakSet()
        self._fellows: WeakSet[Fellows] = WeakSet()
        self._has_limits = asyncio.Event()
        self._place: tuple[int, int] | None = None
        self._is_away = False

    @property
    def are_there(self) -> bool:
        """Whether any upstream of this process has limits."""
        return self._has_limits.is_set()

    async def run(self, every_seconds: float) -> None:
        """Say for ever that this process is there, and hear how many are, once it has limits to share; never return."""
        await self._has_limits.wait()
        while True:
            await asyncio.sleep(every_seconds)
            await self.beat()

    async def beat(self) -> None:
        """Say so once; where Redis is away, all budgets go on alone until it is back."""
        try:
            rank, count = await self._connection.run(_BEAT, (_PROCESSES,), self._name, GONE_MILLISECONDS)
        except Exception as error:  # noqa: BLE001 - limits hold whatever Redis says or does
            self._lose(error)
            return
        self._place = rank, count
        for fellows in self._fellows:
            fellows.rank, fellows.count = rank, count
        if self._is_away:
            self._is_away = False
            _log.info("limits_shared_again", processes=count)
            for budget in self._budgets:
                budget.found()

    async def close(self) -> None:
        """Give back what is in hand, and say that this process is gone."""
        for budget in self._budgets:
            budget.close()
        with suppress(RedisUnavailable, ResponseError):
            await self._connection.execute("HDEL", _PROCESSES, self._name)

    def join(self, budget: SharedAllowance) -> None:
        """Tell a budget when Redis is away, and when it is back."""
        self._budgets.add(budget)
        if self._is_away:
            budget.lost()

    def tell(self, fellows: Fellows) -> None:
        """Keep ``fellows`` up to date."""
        self._fellows.add(fellows)
        self._has_limits.set()
        if self._place is not None:
            fellows.rank, fellows.count = self._place

    def ask(self, budget: SharedAllowance) -> None:
        """Ask Redis for a loan once this turn of the loop is over."""
        self._in_background(self._lend(budget))

    def give_back(self, budget: SharedAllowance, units: float) -> None:
        """Give back what was not spent, or say what was spent without asking."""
        microseconds = int(units * _unit_microseconds(budget.name))
        self._connection.send_script(_GIVE_BACK, (_key(budget.name),), microseconds)

    async def _lend(self, budget: SharedAllowance) -> None:
        name, wish = budget.name, budget.wish()
        most = seconds_ahead(name.per_minute) * 1e6
        try:
            units, wait, ahead = await self._connection.run(
                _LEND, (_key(name),), _unit_microseconds(name), most, wish.least, wish.most
            )
            loan = Loan(float(units), wait / 1e6, min(1.0, ahead / most))
        except Exception as error:  # noqa: BLE001 - who asked must not wait for an answer that nobody gives
            self._lose(error)
            return
        budget.lent(loan)

    def _lose(self, error: Exception) -> None:
        if not self._is_away:
            self._is_away = True
            expected = isinstance(error, RedisUnavailable | ResponseError)
            trace, processes = None if expected else error, self._place and self._place[1]
            _log.warning("limits_not_shared", reason=str(error), processes=processes, exc_info=trace)
        for budget in self._budgets:
            budget.lost()


def _key(name: BudgetName) -> str:
    return f"{KEY}:{name.unit}:{name.per_minute}:{name.group}"


def _unit_microseconds(name: BudgetName) -> float:
    return SECONDS_PER_MINUTE / name.per_minute * 1e6
