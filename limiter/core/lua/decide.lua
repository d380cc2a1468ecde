-- Decide one call against all its limits, all or nothing, and record what was decided.
--
-- KEYS[1]    string  adaptive multiplier in millionths (absent: not cut)
-- KEYS[2]    stream  throttle events that are not in the database yet
-- KEYS[3]    hash    usage:  "<minute>|<tenant>|<action>|<counter>" -> count
-- KEYS[4]    hash    totals: "<tenant>|<counter>" -> count
-- KEYS[5]    hash    floods: "<second>|<1 if shadow>|<limit>|<tenant>|<action>|<key prefix>" -> refusals of this kind;
--            the same with "|last" -> the last refusal without an entry of its own, and how many there were (see FLOOD)
-- KEYS[5+i]  the count of limit i: list (log), hash (counter), string (bucket), sorted set (concurrency)
--
-- ARGV[1]    multiplier in millionths when KEYS[1] is absent; "" when the policy does not adapt
-- ARGV[2]    tenant
-- ARGV[3]    action
-- ARGV[4]    description of the limits, copied into events (limiter/core/description.py); starts "<name>|" for each
-- ARGV[5+6(i-1) …]  six per limit: algorithm (l, s, b, c) · quota (units) · window (us) · burst (units) ·
--            lease (us) · flags (1: shadow, 2: adaptive)
-- then       now (us; "" for the server's clock) · cost (units) · "1" to charge, "0" to peek ·
--            decision id (also the concurrency lease) · context, copied into events ("<key prefix>|<request id>")
--
-- Returns    now (us) · multiplier (millionths) · 1 if admitted ·
--            per limit: used (units) · effective limit (units) · wait (us; 0 passes, -1 never) · reset (us)
--
-- Numbers stay below 2^53, so Lua's doubles are exact. Refused calls are stored in no window.

local call, num, floor, ceil, max = redis.call, tonumber, math.floor, math.ceil, math.max
local PPM, SLICES = 1000000, 60
local CONCURRENCY_HINT_US = 1000000
local KEEP_SECONDS = 604800
local EVENTS_KEPT = 1000000
local FLOOD = 10 -- refusals of one kind and second that get an entry of their own; the others are counted together

local n = #KEYS - 5
local base = 4 + 6 * n
local now = num(ARGV[base + 1])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
local cost, charging = num(ARGV[base + 2]), ARGV[base + 3] == '1'
local decision_id = ARGV[base + 4]

local ppm = PPM
if ARGV[1] ~= '' then
  ppm = num(call('GET', KEYS[1]) or ARGV[1])
end

local function int(x) return string.format('%.0f', x) end

-- Keys outlive what they count by a second. A charge sees to it; a call that charges nothing only has to when the
-- window was made longer, or the refill slower, since the last charge.
local MARGIN_MS = 1000

local function keep(key, limit)
  local ms = ceil(limit.counted_for / 1000)
  if call('PTTL', key) < ms then call('PEXPIRE', key, ms + MARGIN_MS) end
end

-- Sliding log -------------------------------------------------------------------------------------------------------
-- A list of admission times, oldest first. Never earlier than the last one, should the server's clock step back.

local function log_look(key, limit)
  local used = call('LLEN', key)
  limit.at = now
  if used > 0 then
    local last = num(call('LINDEX', key, -1))
    limit.at, limit.counted_for = max(now, last), last + limit.window - now
    local edge = limit.at - limit.window
    limit.oldest = num(call('LINDEX', key, 0))
    if limit.oldest <= edge then
      local lo, hi = 1, used -- the first live entry is in [lo, hi]; hi == used: none is
      while lo < hi do
        local mid = floor((lo + hi) / 2)
        if num(call('LINDEX', key, mid)) <= edge then lo = mid + 1 else hi = mid end
      end
      call('LTRIM', key, lo, -1)
      used = used - lo
      if used > 0 then limit.oldest = num(call('LINDEX', key, 0)) end
    end
  end
  limit.used = used
  if used + cost <= limit.effective then
    limit.wait = 0
  elseif cost > limit.effective then
    limit.wait = -1
  else
    limit.wait = num(call('LINDEX', key, used + cost - limit.effective - 1)) + limit.window - now
  end
  limit.reset = limit.window
  if used > 0 then limit.reset = limit.oldest + limit.window - now end
end

local function log_charge(key, limit)
  local at = int(limit.at)
  if cost == 1 then
    call('RPUSH', key, at)
  else
    local copies = {}
    for i = 1, cost do copies[i] = at end
    call('RPUSH', key, unpack(copies))
  end
  call('PEXPIRE', key, ceil((limit.at - now + limit.window) / 1000) + MARGIN_MS)
end

-- Sliding counter ---------------------------------------------------------------------------------------------------
-- A hash of slice number -> units, with n (their sum), o and l (oldest and latest slice). The slice that has only
-- partly left the window counts in full: never over the limit, early to refuse by at most one slice.

local function counter_look(key, limit)
  local slice = ceil(limit.window / SLICES)
  local state = call('HMGET', key, 'n', 'o', 'l')
  local used, oldest, latest = num(state[1] or 0), num(state[2] or 0), num(state[3] or 0)
  local at = max(now, latest * slice)
  limit.slice = floor(at / slice)
  local first = floor((at - limit.window) / slice) -- the oldest slice that still counts
  if used > 0 and oldest < first then
    if latest < first then
      call('DEL', key)
      used = 0
    else
      local gone = {}
      for i = oldest, first - 1 do gone[#gone + 1] = int(i) end
      for _, units in ipairs(call('HMGET', key, unpack(gone))) do used = used - num(units or 0) end
      call('HDEL', key, unpack(gone))
      while not call('HGET', key, int(first)) do first = first + 1 end
      oldest = first
      call('HSET', key, 'n', int(used), 'o', int(oldest))
    end
  end
  if used == 0 then oldest, latest = limit.slice, limit.slice end
  limit.used, limit.oldest, limit.slice_us = used, oldest, slice
  limit.reset = (oldest + 1) * slice + limit.window - now
  limit.wait = 0
  if cost > limit.effective then
    limit.wait = -1
  elseif used + cost > limit.effective then
    local names, freed = {}, 0
    for i = oldest, latest do names[#names + 1] = int(i) end
    for i, units in ipairs(call('HMGET', key, unpack(names))) do
      freed = freed + num(units or 0)
      if used + cost - freed <= limit.effective then
        limit.wait = (oldest + i) * slice + limit.window - now
        break
      end
    end
  end
end

local function counter_charge(key, limit)
  local slice = int(limit.slice)
  call('HINCRBY', key, slice, cost)
  call('HSET', key, 'n', int(limit.used + cost), 'o', int(limit.oldest), 'l', slice)
  call('PEXPIRE', key, ceil(((limit.slice + 2) * limit.slice_us + limit.window - now) / 1000) + MARGIN_MS)
end

-- Token bucket (GCRA) -----------------------------------------------------------------------------------------------
-- "<debt> <at> <window>": units taken and not yet given back, times the window, so that whole numbers are exact. When
-- the window is edited the units are carried over, a part of one as one: a product of two windows may not fit 53 bits.

local function bucket_look(key, limit)
  local debt, at, state = 0, now, call('GET', key)
  if state then
    local d, t, w = string.match(state, '(%d+) (%d+) (%d+)')
    debt, w = num(d), num(w)
    if w ~= limit.window then debt = ceil(debt / w) * limit.window end
    at = max(now, num(t))
    debt = max(0, debt - (at - num(t)) * limit.effective_quota)
    limit.counted_for = at - now + ceil(debt / limit.effective_quota)
  end
  local over = debt - (limit.effective - cost) * limit.window
  limit.debt, limit.at, limit.used = debt, at, ceil(debt / limit.window)
  limit.wait = 0
  if cost > limit.effective then
    limit.wait = -1
  elseif over > 0 then
    limit.wait = at - now + ceil(over / limit.effective_quota)
  end
end

local function bucket_reset(limit)
  if limit.debt == 0 then return ceil(limit.window / limit.effective_quota) end
  return limit.at - now + ceil((limit.debt - (limit.used - 1) * limit.window) / limit.effective_quota)
end

local function bucket_charge(key, limit)
  limit.debt = limit.debt + cost * limit.window
  local ttl = ceil((limit.at - now + limit.debt / limit.effective_quota) / 1000) + MARGIN_MS
  call('SET', key, int(limit.debt) .. ' ' .. int(limit.at) .. ' ' .. int(limit.window), 'PX', int(ttl))
end

-- Concurrency -------------------------------------------------------------------------------------------------------
-- A sorted set of leases by expiry. One call holds one slot whatever its cost. Nobody can know when a running call
-- ends, so the wait is a hint: a second, or the expiry that frees a slot for certain when that comes sooner.

local function slots_look(key, limit)
  call('ZREMRANGEBYSCORE', key, '-inf', int(now))
  local used = call('ZCARD', key)
  limit.used, limit.wait, limit.reset = used, 0, 0
  if used + 1 > limit.effective then
    local freeing = call('ZRANGE', key, used - limit.effective, used - limit.effective, 'WITHSCORES')
    limit.wait = math.min(CONCURRENCY_HINT_US, num(freeing[2]) - now)
    limit.reset = limit.wait
  end
end

local function slots_charge(key, limit)
  call('ZADD', key, int(now + limit.lease), decision_id)
  local ttl = ceil(limit.lease / 1000) + MARGIN_MS
  if call('PTTL', key) < ttl then call('PEXPIRE', key, ttl) end
end

local look = { l = log_look, s = counter_look, b = bucket_look, c = slots_look }
local charge = { l = log_charge, s = counter_charge, b = bucket_charge, c = slots_charge }

-- Look at every limit, then charge all or nothing -------------------------------------------------------------------

local limits, admitted, shadow_admitted, tightest = {}, true, true, 0
for i = 1, n do
  local at = 4 + 6 * (i - 1)
  local quota, burst, flags = num(ARGV[at + 2]), num(ARGV[at + 4]), num(ARGV[at + 6])
  local limit = {
    kind = ARGV[at + 1],
    window = num(ARGV[at + 3]),
    lease = num(ARGV[at + 5]),
    shadow = flags % 2 == 1,
  }
  local function scaled(units)
    if flags < 2 or ppm == PPM then return units end
    return max(1, floor(units * ppm / PPM))
  end
  limit.effective_quota = scaled(quota)
  limit.effective = limit.kind == 'b' and scaled(burst) or limit.effective_quota
  look[limit.kind](KEYS[5 + i], limit)
  limits[i] = limit
  if limit.wait ~= 0 then
    if limit.shadow then shadow_admitted = false else admitted = false end
  end
end

-- A shadow limit counts what it would count if it were enforced: nothing of a call that it would refuse.
for i = 1, n do
  local limit = limits[i]
  if charging and admitted and (not limit.shadow or shadow_admitted) then
    charge[limit.kind](KEYS[5 + i], limit)
    limit.used = limit.used + (limit.kind == 'c' and 1 or cost)
  elseif limit.counted_for then
    keep(KEYS[5 + i], limit)
  end
end

local answer = { now, ppm, admitted and 1 or 0 }
for i = 1, n do
  local limit = limits[i]
  if limit.kind == 'b' then limit.reset = bucket_reset(limit) end
  local at = #answer
  answer[at + 1], answer[at + 2], answer[at + 3], answer[at + 4] = limit.used, limit.effective, limit.wait, limit.reset
end

-- The record --------------------------------------------------------------------------------------------------------

if charging then
  local tenant = ARGV[2]
  local line = int(floor(now / 60000000)) .. '|' .. tenant .. '|' .. ARGV[3] .. '|'
  local function count(counter, by)
    call('HINCRBY', KEYS[4], tenant .. '|' .. counter, by)
    if call('HINCRBY', KEYS[3], line .. counter, by) == by then -- the first of this minute
      call('EXPIRE', KEYS[3], KEEP_SECONDS)
      call('EXPIRE', KEYS[4], KEEP_SECONDS)
    end
  end
  count(admitted and 'allowed' or 'refused', 1)
  if admitted and cost > 1 then count('extra_cost', cost - 1) end
  if admitted and not shadow_admitted then count('shadow_refused', 1) end
  if not (admitted and shadow_admitted) then
    local seen = {}
    for i = 4, #answer do seen[#seen + 1] = int(answer[i]) end
    -- The limit that bound: of those that refused, the one whose wait ends last.
    local bound, longest, at, name = 1, -1, 0, ''
    for i = 1, n do
      local wait = limits[i].wait
      if wait ~= 0 and limits[i].shadow == admitted then
        if wait < 0 then wait = math.huge end
        if wait > longest then bound, longest = i, wait end
      end
    end
    for described in string.gmatch(ARGV[4], '[^;]+') do
      at = at + 1
      if at == bound then name = string.match(described, '^[^|]*') end
    end
    local event = { 'at', int(now), 'tenant', tenant, 'action', ARGV[3], 'limits', ARGV[4],
      'states', table.concat(seen, ','), 'shadow', admitted and '1' or '0', 'multiplier', int(ppm),
      'cost', int(cost), 'decision', decision_id, 'context', ARGV[base + 5] }
    local kind = table.concat({ int(floor(now / 1000000)), admitted and '1' or '0', name, tenant, ARGV[3],
      string.match(ARGV[base + 5], '^[^|]*') }, '|')
    local nth = call('HINCRBY', KEYS[5], kind, 1)
    if nth == 1 then call('EXPIRE', KEYS[5], KEEP_SECONDS) end
    if nth <= FLOOD then
      call('XADD', KEYS[2], 'MAXLEN', '~', EVENTS_KEPT, '*', unpack(event))
      call('EXPIRE', KEYS[2], KEEP_SECONDS)
    else
      event[#event + 1], event[#event + 2] = 'folded', int(nth - FLOOD)
      call('HSET', KEYS[5], kind .. '|last', cjson.encode(event))
    end
  end
end
return answer
