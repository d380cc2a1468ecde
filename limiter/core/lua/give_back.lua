-- Give back what calls were charged that certainly did not run, each once however often this is sent.
--
-- KEYS[1]    sorted set: decision id -> when its units were given back (us)
-- KEYS[2]    hash  usage, KEYS[3] hash totals (decide.lua)
-- KEYS[3+i]  the count of limit i
--
-- ARGV[1] now (us; "" for the server's clock) · [2] tenant · [3] action · [4] the limits, packed (decide.lua)
-- then four per call: decision id · when it was charged (us) · its cost (units) · "1" if shadow limits counted it
--
-- Returns    how many calls were given back now
--
-- Of a log and a counter exactly the units of the call leave. A bucket cannot tell whose units have been refilled since,
-- so it takes back only what cannot have been: never more than was charged, and nobody is admitted for it twice. Slots
-- are freed when the end of a call is recorded (record.lua).

local call, num, floor, ceil, max, text = redis.call, tonumber, math.floor, math.ceil, math.max, string.format
local LIMIT = '<c1I8I8I8I8B'
local SLICES, REMEMBERED_US, KEEP_SECONDS = 60, 600000000, 604800

local now = num(ARGV[1])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end

local function log(key, at, cost) call('LREM', key, -cost, text('%.0f', at)) end

local function counter(key, at, cost, window)
  local slice = text('%.0f', floor(at / ceil(window / SLICES)))
  local held = math.min(cost, num(call('HGET', key, slice) or 0))
  if held > 0 then
    call('HINCRBY', key, slice, -held)
    call('HINCRBY', key, 'n', -held)
  end
end

local function bucket(key, at, cost, window, quota)
  local state = call('GET', key)
  if not state then return end
  local debt, t, w = string.match(state, '(%d+) (%d+) (%d+)')
  debt, t, w = num(debt), num(t), num(w)
  if w ~= window then return end
  local left = max(0, cost * window - max(0, now - at) * quota)
  call('SET', key, text('%.0f %.0f %.0f', max(0, debt - left), t, window), 'KEEPTTL')
end

local units, given = 0, 0
for i = 5, #ARGV, 4 do
  local at, cost, shadows = num(ARGV[i + 1]), num(ARGV[i + 2]), ARGV[i + 3] == '1'
  if call('ZADD', KEYS[1], 'NX', now, ARGV[i]) == 1 then
    given, units = given + 1, units + cost
    local next_limit = 1
    for k = 4, #KEYS do
      local kind, quota, window, _, flags
      kind, quota, window, _, _, flags, next_limit = struct.unpack(LIMIT, ARGV[4], next_limit)
      if shadows or flags % 2 == 0 then
        if kind == 'l' then
          log(KEYS[k], at, cost)
        elseif kind == 's' then
          counter(KEYS[k], at, cost, window)
        elseif kind == 'b' then
          bucket(KEYS[k], at, cost, window, quota)
        end
      end
    end
  end
end
call('ZREMRANGEBYSCORE', KEYS[1], '-inf', text('%.0f', now - REMEMBERED_US))
call('EXPIRE', KEYS[1], KEEP_SECONDS)
if units > 0 then
  call('HINCRBY', KEYS[2], text('%.0f|', floor(now / 60000000)) .. ARGV[2] .. '|' .. ARGV[3] .. '|given_back', units)
  call('HINCRBY', KEYS[3], ARGV[2] .. '|given_back', units)
  call('EXPIRE', KEYS[2], KEEP_SECONDS)
  call('EXPIRE', KEYS[3], KEEP_SECONDS)
end
return given
