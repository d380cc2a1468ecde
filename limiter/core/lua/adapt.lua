-- Store a multiplier for all workers with its evidence, and write down the change if it is one. One that ended by itself
-- before, and that nobody has noted yet, ended when its samples did: from none.
--
-- KEYS[1]  string  multiplier in millionths; it ends with the samples it was computed from
-- KEYS[2]  hash    evidence: "<tenant>|<action>" -> "<multiplier>|<default>|<p95 us>|<samples>|<threshold us>|
--                  <pushed back, millionths>|<at us>|<until us>"; action is "" when the tenant's calls share it
-- KEYS[3]  stream  changes of multipliers that are not in the database yet
-- KEYS[4]  sorted set, KEYS[5] hash: the unassessed targets, and how (record.lua)
-- KEYS[6]  sorted set  "<tenant>|<action>" of the multipliers that cut -> when they end by themselves (us)
-- KEYS[7]  hash    calls in flight that are overdue (overdue.lua)
--
-- ARGV[1] tenant · [2] action or "" · [3] multiplier (millionths) · [4] multiplier when nothing is cut (millionths) ·
-- [5] how long it holds (us) · [6] p95 (us) · [7] samples · [8] threshold (us) · [9] pushed back (millionths) ·
-- [10] now (us; "" for the server's clock) · [11] the count of KEYS[5] when the samples were read: if it is the same, all
-- are assessed
--
-- Returns  the multiplier before, in millionths

local call, num = redis.call, tonumber
local KEEP_SECONDS, CHANGES_KEPT = 604800, 100000

local now = num(ARGV[10])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
local until_us = now + num(ARGV[5])
local function int(x) return string.format('%.0f', x) end

local field = ARGV[1] .. '|' .. ARGV[2]
if ARGV[3] == ARGV[4] then
  call('DEL', KEYS[1])
  call('ZREM', KEYS[6], field)
else
  call('SET', KEYS[1], ARGV[3], 'PX', math.max(1, math.floor(num(ARGV[5]) / 1000)))
  call('ZADD', KEYS[6], int(until_us), field)
  call('EXPIRE', KEYS[6], KEEP_SECONDS)
end

local noted = call('HGET', KEYS[2], field)
local function write_down(at, before, after, p95_us, samples, pushback)
  call('XADD', KEYS[3], 'MAXLEN', '~', CHANGES_KEPT, '*', 'at', int(at), 'tenant', ARGV[1], 'action', ARGV[2],
    'before', before, 'after', after, 'p95_us', p95_us, 'samples', samples, 'threshold_us', ARGV[8],
    'pushback', pushback)
  call('EXPIRE', KEYS[3], KEEP_SECONDS)
end

local before = ARGV[4]
if noted then
  local was, uncut, ended = string.match(noted, '^(%d+)|(%d+)|%d+|%d+|%d+|%d+|%d+|(%d+)')
  before = was or before -- what a newer release noted in another way says nothing here
  if was and was ~= uncut and num(ended) <= now then
    write_down(ended, was, uncut, '0', '0', '0')
    before = uncut
  end
end
if before ~= ARGV[3] then
  write_down(now, before, ARGV[3], ARGV[6], ARGV[7], ARGV[9])
end
local shown = { ARGV[3], ARGV[4], ARGV[6], ARGV[7], ARGV[8], ARGV[9], int(now), int(until_us) }
call('HSET', KEYS[2], field, table.concat(shown, '|'))
call('EXPIRE', KEYS[2], KEEP_SECONDS)
if call('HGET', KEYS[5], field .. '|n') == ARGV[11] then
  -- If ages of calls in flight count, their worker reports when these end. If it died, they count until they expire.
  local expire_ms = call('PTTL', KEYS[7])
  if expire_ms > 0 then
    call('ZADD', KEYS[4], int(now + (expire_ms + 1) * 1000), field)
  else
    call('ZREM', KEYS[4], field)
    call('HDEL', KEYS[5], field, field .. '|n')
  end
end
return num(before)
