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
-- Each algorithm's part is beside its object (../algorithms/<name>.lua), and in front of this script: `algorithms`, by
-- letter. Slots have none: they are freed when the end of a call is recorded (record.lua).

local call, num, floor, text = redis.call, tonumber, math.floor, string.format
local LIMIT = '<c1I8I8I8I8B'
local REMEMBERED_US, KEEP_SECONDS = 600000000, 604800

local now = num(ARGV[1])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
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
        local counts = algorithms[kind]
        if counts then counts.give_back(KEYS[k], at, cost, window, quota, now) end
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
