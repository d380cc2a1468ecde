-- Record how admitted calls of one action ended: free their concurrency slots, count outcomes, keep latency samples.
--
-- KEYS[1]    list    samples: "<at us>:<latency us, or nothing>:<1 if pushed back>", newest last
-- KEYS[2]    hash    usage:  "<minute>|<tenant>|<action>|<counter>" -> count
-- KEYS[3]    hash    totals: "<tenant>|<counter>" -> count
-- KEYS[4]    string  present while the multiplier is fresh enough
-- KEYS[5]    sorted set  unassessed: "<tenant>|<action>" -> when its multiplier is to be computed (us); action is ""
--            when the tenant's calls share it. An entry goes when a multiplier was computed from all samples (adapt.lua)
-- KEYS[6]    hash    the same -> by which settings; and with "|n" -> how often samples were kept since it is there
-- KEYS[7]    hash    calls in flight that are overdue (overdue.lua)
-- KEYS[7+i]  sorted set  leases of a concurrency limit; and then, for each that is shared, its pool (look_at_slots.lua)
--
-- ARGV[1] now (us; "" for the server's clock) · [2] tenant · [3] action · [4] samples kept ·
-- [5] oldest sample that counts (us) · [6] ms between two computations of the multiplier; 0: keep no samples ·
-- [7] what KEYS[5] calls them · [8] the settings · [9] for each concurrency limit the account of these calls, "" unless it
-- is shared, and a line's end; "" if none is
-- then five per call: lease · outcome (a counter's name) · latency (us; "" when the upstream was not heard) ·
--            latency bucket · "1" if the upstream pushed back and that counts
--
-- Returns    nil when no samples are kept; else in how many ms the multiplier is to be computed (assess.lua); or, when
--            that is now and for this caller to do: the count of KEYS[6], then the samples

local call, num, floor = redis.call, tonumber, math.floor
local KEEP_SECONDS = 604800

local now = num(ARGV[1])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end

local counts, samples, leases = {}, {}, {}
local function count(counter, by) counts[counter] = (counts[counter] or 0) + by end
local stamp = string.format('%.0f:', now)
for i = 10, #ARGV, 5 do
  local latency = ARGV[i + 2]
  leases[#leases + 1] = ARGV[i]
  count(ARGV[i + 1], 1)
  if latency ~= '' then
    count('ms' .. ARGV[i + 3], 1)
    count('latency_us', num(latency))
  end
  if latency ~= '' or ARGV[i + 4] == '1' then
    samples[#samples + 1] = stamp .. latency .. ':' .. ARGV[i + 4]
  end
end

local accounts, pools = {}, #KEYS
for account in string.gmatch(ARGV[9], '([^\n]*)\n') do
  accounts[#accounts + 1] = account
  if account ~= '' then pools = pools - 1 end
end

-- Slots come back to an account: as far as its share is not used now, they are reserved for it.
local function come_back(pool, account, slots)
  local found = call('HMGET', pool, '', account)
  if not (found[1] and found[2]) then return end
  local last, big, small, demand, variance, settled = struct.unpack('<dddddd', found[1])
  local held, since, area, refused, part, most = struct.unpack('<dddddd', found[2])
  local left = math.max(0, held - slots)
  if most > 0 then
    settled = settled - math.min(held, most) + math.min(left, most)
  else
    local back = math.max(0, part - left) - math.max(0, part - held)
    local known = #found[2] > 96 and call('HGET', pool, '#')
    if known and #known > 55 then -- it has come in this slice: they are for all that have (newcomers.lua)
      local one, open = struct.unpack('<dd', known, 41)
      call('HSET', pool, '#', string.sub(known, 1, 48) .. struct.pack('<d', open + back))
      small = small + math.min(one, open + back) - math.min(one, open)
    elseif part >= 1 then
      big = big + back
    else
      small = small + back
    end
  end
  area = area + held * math.max(0, now - since)
  local state = struct.pack('<ddddd', left, math.max(now, since), area, refused, part) .. string.sub(found[2], 41)
  local sums = struct.pack('<dddddd', last, big, small, demand, variance, settled) .. string.sub(found[1], 49)
  call('HSET', pool, account, state, '', sums)
end

-- Workers in which calls wait for a slot hear of it; a user who may not publish has them look by themselves.
local shared = 0
for i = 8, pools do
  local account, members = accounts[i - 7] or '', leases
  if account ~= '' then
    members, shared = {}, shared + 1
    for k, lease in ipairs(leases) do members[k] = lease .. '|' .. account end
  end
  local freed = call('ZREM', KEYS[i], unpack(members))
  if freed > 0 then
    if account ~= '' then come_back(KEYS[pools + shared], account, freed) end
    redis.pcall('PUBLISH', KEYS[i], '')
  end
end

local line = string.format('%.0f|', floor(now / 60000000)) .. ARGV[2] .. '|' .. ARGV[3] .. '|'
for counter, by in pairs(counts) do
  local units = string.format('%.0f', by)
  call('HINCRBY', KEYS[2], line .. counter, units)
  call('HINCRBY', KEYS[3], ARGV[2] .. '|' .. counter, units)
end
call('EXPIRE', KEYS[2], KEEP_SECONDS)
call('EXPIRE', KEYS[3], KEEP_SECONDS)

if #samples == 0 or ARGV[6] == '0' then return nil end
call('RPUSH', KEYS[1], unpack(samples))
call('LTRIM', KEYS[1], -num(ARGV[4]), -1)
call('PEXPIRE', KEYS[1], math.ceil(num(ARGV[5]) / 1000) + 1000)
local keys = { samples = KEYS[1], overdue = KEYS[7], due = KEYS[4], unassessed = KEYS[5], assessed_by = KEYS[6] }
return assessing.when_due(keys, now, ARGV[7], ARGV[8], ARGV[6])
