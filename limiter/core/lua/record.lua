-- Record how an admitted call ended: free its concurrency slots, count the outcome, keep the latency sample.
--
-- KEYS[1]    list    samples: "<at us>:<latency us>:<1 if pushed back>", newest last
-- KEYS[2]    hash    usage:  "<minute>|<tenant>|<action>|<counter>" -> count
-- KEYS[3]    hash    totals: "<tenant>|<counter>" -> count
-- KEYS[4]    string  present while the multiplier is fresh enough
-- KEYS[4+i]  sorted set  leases of a concurrency limit
--
-- ARGV[1] now (us; "" for the server's clock) · [2] tenant · [3] action · [4] lease · [5] outcome (a counter's name) ·
-- [6] latency (us; "" when the upstream was not reached) · [7] latency bucket · [8] "1" if the upstream pushed back ·
-- [9] samples kept · [10] oldest sample that counts (us) · [11] ms between two computations of the multiplier; 0: never
--
-- Returns    the samples, when it is time to compute the multiplier from them and this caller is to do it; else nil

local call, num, floor = redis.call, tonumber, math.floor
local KEEP_SECONDS = 604800

local now = num(ARGV[1])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
for i = 5, #KEYS do call('ZREM', KEYS[i], ARGV[4]) end

local tenant = ARGV[2]
local line = string.format('%.0f|', floor(now / 60000000)) .. tenant .. '|' .. ARGV[3] .. '|'
local function count(counter)
  call('HINCRBY', KEYS[3], tenant .. '|' .. counter, 1)
  if call('HINCRBY', KEYS[2], line .. counter, 1) == 1 then
    call('EXPIRE', KEYS[2], KEEP_SECONDS)
    call('EXPIRE', KEYS[3], KEEP_SECONDS)
  end
end
count(ARGV[5])
if ARGV[6] == '' then return nil end
count('ms' .. ARGV[7])

if ARGV[11] == '0' then return nil end
call('RPUSH', KEYS[1], string.format('%.0f:', now) .. ARGV[6] .. ':' .. ARGV[8])
call('LTRIM', KEYS[1], -num(ARGV[9]), -1)
call('PEXPIRE', KEYS[1], math.ceil(num(ARGV[10]) / 1000) + 1000)
if call('SET', KEYS[4], '1', 'NX', 'PX', ARGV[11]) then return call('LRANGE', KEYS[1], 0, -1) end
return nil
