-- Give back what calls were charged that certainly did not run, each once however often this is sent.
--
-- KEYS[1]    sorted set: decision id -> when its units were given back (us)
-- KEYS[2]    hash  usage, KEYS[3] hash totals (decide.lua)
-- KEYS[3+i]  the count of limit i
-- and then   for each shared limit, in their order: who uses how much of it
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
local SHARED = '<dBds' -- as in decide.lua
local REMEMBERED_US, KEEP_SECONDS = 600000000, 604800

local now = num(ARGV[1])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end

-- The units of one call leave its account too, in the slice in which they were charged, and are its own again.
local function leave(hash, at, cost, length, slices, account)
  local found = call('HMGET', hash, '', account, '~' .. account)
  if not (found[1] and found[2] and found[3]) then return end
  local last, big, small = struct.unpack('<ddd', found[1])
  local used, asked, mine = struct.unpack('<ddd', found[2])
  local place, ring, counts = floor(at / length) - last + slices, found[3], true -- of its slice in the ring, from 0
  if place < 0 or place > slices then return end
  if place < slices then
    local since, total = struct.unpack('<dd', ring)
    local from = 41 + 8 * place
    cost = math.min(cost, (struct.unpack('<I4', ring, from)))
    local left = struct.unpack('<I4', ring, from) - cost
    ring = struct.pack('<dd', since, total - cost) .. string.sub(ring, 17, from - 1) .. struct.pack('<I4', left)
      .. string.sub(ring, from + 4)
    call('HSET', hash, '~' .. account, ring)
    counts = place > 0 -- the slice that is leaving counts no more
  end
  if not counts then return end
  local back, claim = math.max(0, mine - used + cost) - math.max(0, mine - used), string.sub(found[2], 33)
  if claim ~= '' then back = 0 end -- it has come in this slice (newcomers.lua)
  if mine >= 1 then big = big + back else small = small + back end
  -- The time of the last charge stays; the parts behind it describe a count with these units.
  local pool = struct.pack('<ddd', last, big, small) .. string.sub(found[1], 25, 32)
  call('HSET', hash, account, struct.pack('<dddd', used - cost, asked, mine, 0) .. claim, '', pool)
end

local begin, windows = 1, #KEYS
if #ARGV[4] > 0 and string.byte(ARGV[4]) < 64 then
  begin, windows = 2, #KEYS - string.byte(ARGV[4])
end
local units, given = 0, 0
for i = 5, #ARGV, 4 do
  local at, cost, shadows = num(ARGV[i + 1]), num(ARGV[i + 2]), ARGV[i + 3] == '1'
  if call('ZADD', KEYS[1], 'NX', now, ARGV[i]) == 1 then
    given, units = given + 1, units + cost
    local next_limit, pool = begin, windows
    for k = 4, windows do
      local kind, quota, window, _, flags, length, slices, account
      kind, quota, window, _, _, flags, next_limit = struct.unpack(LIMIT, ARGV[4], next_limit)
      if bit.band(flags, 8) ~= 0 then
        pool, length, slices, _, account, next_limit = pool + 1, struct.unpack(SHARED, ARGV[4], next_limit)
        if algorithms[kind] and (shadows or flags % 2 == 0) then leave(KEYS[pool], at, cost, length, slices, account) end
      end
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
