"""What Redis does of counting, each verb in one atomic step, over all counters of a request: the same as ``domain/limits/counting``.

All keys of a tenant are in one slot of a cluster. Beside its counters, which are hashes, a tenant has an epoch, the reservations
that nobody has settled, and when their leases end:

- a bucket has ``u``, its parts, and ``t``, their moment in microseconds by Redis' own clock, which is everybody's;
- places have ``n``; an account has ``s`` spent, ``e`` expected, ``c`` ceilings, and ``f``, the moment since which it counts;
- a reservation is tokens, expected, ceiling, whether it is held, and its plan: for each limit its kind, the counter's name,
  amount, capacity, seconds and whether it is a shadow. Who is there has not been settled: that makes settling safe to repeat.

An epoch that is another than the caller's says that Redis has forgotten, and nothing is done: the caller tells what it knows.
"""

from __future__ import annotations

from penstock_common.redis_connection import Script

REQUESTS, TOKENS, PLACES, ACCOUNT = range(1, 5)
"""The kinds of counters in a plan."""

ADMITTED, REFUSED, UNKNOWN, FORGOTTEN, RECOVERING = 1, 0, -1, -2, 2
"""What a script answers first."""

LATE_MS = 3_600_000
"""For so long after its lease a reservation may still be settled."""
LEDGER_LAG_MS = 1_000
"""What was settled so long before an account was seeded from the ledger, was in the ledger."""

# A counter lives for this long after its last use: a Redis that is full gives up what would end soonest (`volatile-ttl`),
# and that must be a cached answer.
_LIFE_MS = 35 * 86_400_000

# KEYS: epoch, open, leases, then whatever a verb names. ARGV: epoch, for how many ms budgets wait for others if it is gone.
_COMMON = """
local time = redis.call('TIME')
local now = time[1] * 1000000 + time[2]
local floor, max, min = math.floor, math.max, math.min
local prefix = string.sub(KEYS[1], 1, -6)

local epoch = redis.call('GET', KEYS[1])
if epoch ~= ARGV[1] then
  if not epoch then
    local until_us = 0
    if ARGV[1] ~= '' then until_us = now + ARGV[2] * 1000 end
    epoch = string.format('%.0f-%.0f', now, until_us)
    redis.call('SET', KEYS[1], epoch, 'PX', @LIFE@)
  end
  return {-2, epoch}
end

local function level(u, t, amount, seconds)
  local elapsed = now - t
  if elapsed <= 0 or u == 0 then return u end
  return max(0, u - floor(elapsed * amount / seconds))
end

local function add(key, parts, limit)
  local kept = redis.call('HMGET', key, 'u', 't')
  local u, t = tonumber(kept[1] or 0), tonumber(kept[2] or 0)
  u = max(0, level(u, t, limit[3], limit[5]) + parts)
  redis.call('HSET', key, 'u', u, 't', max(t, now))
  redis.call('PEXPIRE', key, @LIFE@)
end

local function hold(key, expected, ceiling)
  if redis.call('HEXISTS', key, 's') == 1 then
    redis.call('HINCRBY', key, 'e', expected)
    redis.call('HINCRBY', key, 'c', ceiling)
  end
end

local function free(plan, expected, ceiling)
  for _, limit in ipairs(plan) do
    if limit[1] == 3 then
      if tonumber(redis.call('HGET', prefix .. limit[2], 'n') or 0) > 0 then
        redis.call('HINCRBY', prefix .. limit[2], 'n', -1)
      end
    elseif limit[1] == 4 then
      hold(prefix .. limit[2], 0 - expected, 0 - ceiling)
    end
  end
end

local function lease(id, ms)
  redis.call('ZADD', KEYS[3], now + ms * 1000, id)
  redis.call('PEXPIRE', KEYS[3], @LIFE@)
  redis.call('PEXPIRE', KEYS[2], @LIFE@)
end

local function keep(id, tokens, expected, ceiling, is_held, plan)
  redis.call('HSET', KEYS[2], id, cmsgpack.pack(tokens, expected, ceiling, is_held) .. plan)
end

for _, id in ipairs(redis.call('ZRANGEBYSCORE', KEYS[3], '-inf', now, 'LIMIT', 0, 100)) do
  local kept = redis.call('HGET', KEYS[2], id)
  local is_held = 0
  if kept and kept ~= 'done' then
    local tokens, expected, ceiling, held, plan = cmsgpack.unpack(kept)
    if held == 1 then
      is_held = 1
      free(plan, expected, ceiling)
      keep(id, tokens, expected, ceiling, 0, cmsgpack.pack(plan))
      lease(id, @LATE@)
    end
  end
  if is_held == 0 then
    redis.call('HDEL', KEYS[2], id)
    redis.call('ZREM', KEYS[3], id)
  end
end
"""

# KEYS: as above, and the counters. ARGV: epoch, ms, id, plan, tokens, expected, most, lease ms, share of headroom, whether it
# is taken. Returns: ADMITTED or REFUSED or RECOVERING, the ceiling or -1, 2^i of shadows that would refuse, and of each counter
# two numbers: a bucket's parts and their age in microseconds, running and 0, or spent and ceilings. Or UNKNOWN, and the
# indexes of accounts of which nothing is known.
_RESERVE = """
local id, plan = ARGV[3], cmsgpack.unpack(ARGV[4])
local tokens, spend, most = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
local state, unknown = {}, {-1}
local is_refused, shadows, ceiling = false, 0, -1
local waits = spend > 0 and now < tonumber(string.match(epoch, '-(%d+)$'))
local answer = 1
for i, limit in ipairs(plan) do
  local key, kind, amount, lacks = KEYS[i + 3], limit[1], limit[3], false
  if kind == 4 then
    local kept = redis.call('HMGET', key, 's', 'e', 'c')
    if not kept[1] then
      unknown[#unknown + 1] = i - 1
      kept[1] = 0
    end
    local s, e, c = tonumber(kept[1]), tonumber(kept[2] or 0), tonumber(kept[3] or 0)
    lacks = spend > 0 and s + c + spend > amount
    if limit[6] == 0 then
      if waits then
        lacks = true
        answer = 2
      end
      local pool = floor((amount - s - e - spend) * ARGV[9]) - (c - e)
      local room = max(0, min(most - spend, floor(pool / 2)))
      if ceiling < 0 or spend + room < ceiling then ceiling = spend + room end
    end
    state[i] = {s, c}
  elseif kind == 3 then
    local n = tonumber(redis.call('HGET', key, 'n') or 0)
    lacks = n >= amount
    state[i] = {n, 0}
  else
    local kept = redis.call('HMGET', key, 'u', 't')
    local u, t = tonumber(kept[1] or 0), tonumber(kept[2] or now)
    local units = tokens
    if kind == 1 then units = 1 end
    local there = level(u, t, amount, limit[5])
    lacks = units > 0 and there + units * 1000000 > limit[4] * 1000000
    state[i] = {u, now - t, there + units * 1000000, max(t, now)}
  end
  if lacks then
    if limit[6] == 1 then shadows = shadows + 2 ^ (i - 1) else is_refused = true end
  end
end
if #unknown > 1 then return unknown end
local known = redis.call('HGET', KEYS[2], id)
local is_new = ARGV[10] == '1' and not known
if known and known ~= 'done' then
  local _, _, its = cmsgpack.unpack(known)
  if ceiling >= 0 then ceiling = its end
  answer = 1
elseif is_new and is_refused then
  if answer == 1 then answer = 0 end
  ceiling = -1
end
if is_new and not is_refused then
  local held = ceiling
  if held < 0 then held = spend end
  for i, limit in ipairs(plan) do
    local key, of = KEYS[i + 3], state[i]
    if limit[1] == 4 then
      redis.call('HINCRBY', key, 'e', spend)
      redis.call('HINCRBY', key, 'c', held)
      of[2] = of[2] + held
    elseif limit[1] == 3 then
      of[1] = redis.call('HINCRBY', key, 'n', 1)
    else
      redis.call('HSET', key, 'u', of[3], 't', of[4])
      of[1], of[2] = of[3], now - of[4]
    end
    redis.call('PEXPIRE', key, @LIFE@)
  end
  keep(id, tokens, spend, held, 1, ARGV[4])
  lease(id, ARGV[8])
end
local reply = {answer, ceiling, shadows}
for i, of in ipairs(state) do
  reply[2 * i + 2], reply[2 * i + 3] = of[1], of[2]
end
return reply
"""

# KEYS: as above, and the counters. ARGV: epoch, ms, id, whether it is settled and not cancelled, tokens, nano-dollars, how many ms ago, whether
# somebody might put it in again, whether its buckets are to be corrected. Returns: whether it was there.
_END = """
local id = ARGV[3]
local kept = redis.call('HGET', KEYS[2], id)
if not kept or kept == 'done' then return {0} end
local tokens, expected, ceiling, held, plan = cmsgpack.unpack(kept)
local is_settled, since = ARGV[4] == '1', now - ARGV[7] * 1000
if held == 1 then free(plan, expected, ceiling) end
for _, limit in ipairs(plan) do
  local key, kind = prefix .. limit[2], limit[1]
  if kind == 1 and not is_settled and ARGV[9] == '1' then
    add(key, -1000000, limit)
  elseif kind == 2 and ARGV[9] == '1' then
    add(key, (ARGV[5] - tokens) * 1000000, limit)
  elseif kind == 4 and is_settled then
    local from = redis.call('HGET', key, 'f')
    if from and since >= from - @LAG@ * 1000 then
      redis.call('HINCRBY', key, 's', ARGV[6])
      redis.call('PEXPIRE', key, @LIFE@)
    end
  end
end
if ARGV[8] == '1' then
  redis.call('HSET', KEYS[2], id, 'done')
  lease(id, @LATE@)
else
  redis.call('HDEL', KEYS[2], id)
  redis.call('ZREM', KEYS[3], id)
end
return {1}
"""

# KEYS: as above. ARGV: epoch, ms, id, more. Returns: by how much the ceiling is raised.
_EXTEND = """
local id, more = ARGV[3], tonumber(ARGV[4])
local kept = redis.call('HGET', KEYS[2], id)
if not kept or kept == 'done' then return {0} end
local tokens, expected, ceiling, held, plan = cmsgpack.unpack(kept)
if held ~= 1 then return {0} end
for _, limit in ipairs(plan) do
  if limit[1] == 4 and limit[6] == 0 then
    local of = redis.call('HMGET', prefix .. limit[2], 's', 'c')
    more = min(more, limit[3] - tonumber(of[1] or limit[3]) - tonumber(of[2] or 0))
  end
end
if more <= 0 then return {0} end
for _, limit in ipairs(plan) do
  if limit[1] == 4 then hold(prefix .. limit[2], more, more) end
end
keep(id, tokens, expected + more, ceiling + more, 1, cmsgpack.pack(plan))
return {more}
"""

# Puts a reservation in that Redis does not know: one that was made without it, or before it forgot; or what it does not know
# of one; and has one held again whose lease ended though it goes on.
# KEYS: as above, and the counters. ARGV: epoch, ms, id, plan, tokens, expected, ceiling, lease ms.
# Returns: 1, or 0 where it was there; or UNKNOWN, and the indexes of accounts of which nothing is known.
_ASSERT = """
local id, plan, unknown = ARGV[3], cmsgpack.unpack(ARGV[4]), {-1}
local kept = redis.call('HGET', KEYS[2], id)
if kept == 'done' then return {0} end
local tokens, expected, ceiling = tonumber(ARGV[5]), tonumber(ARGV[6]), tonumber(ARGV[7])
if kept then
  local its_tokens, its_expected, its_ceiling, is_held = cmsgpack.unpack(kept)
  local more = max(0, ceiling - its_ceiling)
  tokens, expected, ceiling = its_tokens, its_expected + more, its_ceiling + more
  if is_held == 1 then
    if more > 0 then
      for i, limit in ipairs(plan) do
        if limit[1] == 4 then hold(KEYS[i + 3], more, more) end
      end
      keep(id, tokens, expected, ceiling, 1, ARGV[4])
    end
    return {0}
  end
end
for i, limit in ipairs(plan) do
  if limit[1] == 4 and redis.call('HEXISTS', KEYS[i + 3], 's') == 0 then unknown[#unknown + 1] = i - 1 end
end
if #unknown > 1 then return unknown end
for i, limit in ipairs(plan) do
  if limit[1] == 4 then
    hold(KEYS[i + 3], expected, ceiling)
  elseif limit[1] == 3 then
    redis.call('HINCRBY', KEYS[i + 3], 'n', 1)
  end
  redis.call('PEXPIRE', KEYS[i + 3], @LIFE@)
end
keep(id, tokens, expected, ceiling, 1, ARGV[4])
lease(id, ARGV[8])
if kept then return {0} end
return {1}
"""

# Tells of buckets what Redis does not know, once where it has an id: at least so many parts, of so many microseconds ago, and so many more.
# KEYS: as above, and the buckets. ARGV: epoch, ms, id, plan, and for each bucket three numbers. Returns: 1, or 0 if it was told.
_TELL = """
local id, plan = ARGV[3], cmsgpack.unpack(ARGV[4])
if id ~= '' and redis.call('HEXISTS', KEYS[2], id) == 1 then return {0} end
for i, limit in ipairs(plan) do
  local key, at = KEYS[i + 3], 3 * i + 2
  local kept = redis.call('HMGET', key, 'u', 't')
  local u, t = tonumber(kept[1] or 0), tonumber(kept[2] or 0)
  local least = level(tonumber(ARGV[at]), now - ARGV[at + 1], limit[3], limit[5])
  u = max(level(u, t, limit[3], limit[5]), least) + ARGV[at + 2]
  redis.call('HSET', key, 'u', u, 't', max(t, now))
  redis.call('PEXPIRE', key, @LIFE@)
end
if id ~= '' then
  redis.call('HSET', KEYS[2], id, 'done')
  lease(id, @LATE@)
end
return {1}
"""

# KEYS: as above, and an account. ARGV: epoch, ms, what was spent, whether a ledger says it, how many microseconds ago it was
# asked, and whether that is not for an account that knows nothing, but how much more an account has that knows something.
_SEED = """
local is_told
if ARGV[6] == '1' then
  is_told = redis.call('HEXISTS', KEYS[4], 's') == 1
  if is_told then redis.call('HINCRBY', KEYS[4], 's', ARGV[3]) end
else
  is_told = redis.call('HSETNX', KEYS[4], 's', ARGV[3]) == 1
end
if is_told then
  redis.call('HSET', KEYS[4], 'f', (now - ARGV[5]) * ARGV[4])
  redis.call('PEXPIRE', KEYS[4], @LIFE@)
end
return {1}
"""

# KEYS: as above. ARGV: epoch, ms, and for each reservation that goes on its id and for how many ms its lease does.
# Returns: 1, and the ids of those whose lease had ended, so that nothing is held for them.
_RENEW = """
local reply = {1}
for i = 3, #ARGV - 1, 2 do
  local kept = redis.call('HGET', KEYS[2], ARGV[i])
  if kept and kept ~= 'done' then
    local _, _, _, is_held = cmsgpack.unpack(kept)
    if is_held == 1 then
      redis.call('ZADD', KEYS[3], 'XX', now + ARGV[i + 1] * 1000, ARGV[i])
    else
      reply[#reply + 1] = ARGV[i]
    end
  end
end
return reply
"""

# KEYS: processes. ARGV: name, ms after which who says nothing is gone. Returns: how many there are, and Redis' time in microseconds.
BEAT = Script(
    """
    local time = redis.call('TIME')
    local now = time[1] * 1000 + math.floor(time[2] / 1000)
    redis.call('ZADD', KEYS[1], now, ARGV[1])
    redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', now - ARGV[2])
    redis.call('PEXPIRE', KEYS[1], 10 * ARGV[2])
    return {redis.call('ZCARD', KEYS[1]), time[1] * 1000000 + time[2]}
    """
)


def _script(verb: str) -> Script:
    text = _COMMON + verb
    for name, value in (("LIFE", _LIFE_MS), ("LATE", LATE_MS), ("LAG", LEDGER_LAG_MS)):
        text = text.replace(f"@{name}@", str(value))
    return Script(text)


RESERVE, END, EXTEND, ASSERT, TELL, SEED, RENEW = map(_script, (_RESERVE, _END, _EXTEND, _ASSERT, _TELL, _SEED, _RENEW))
