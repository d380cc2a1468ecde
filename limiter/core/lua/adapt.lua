-- Store a multiplier for all workers, and write down the change if it is one.
--
-- KEYS[1]  string  multiplier in millionths; it ends with the samples it was computed from
-- KEYS[2]  hash    the evidence of the present multiplier
-- KEYS[3]  stream  changes of multipliers that are not in the database yet
--
-- ARGV[1] multiplier (millionths) · [2] the multiplier when nothing is cut (millionths) · [3] ms until it ends ·
-- [4] tenant · [5] action, "" when the tenant's calls share it · [6] p95 (us) · [7] samples · [8] threshold (us) ·
-- [9] share of samples that were pushed back (millionths)
--
-- Returns  the multiplier before, in millionths

local call = redis.call
local KEEP_SECONDS, CHANGES_KEPT = 604800, 100000

local before = call('GET', KEYS[1]) or ARGV[2]
if ARGV[1] == ARGV[2] then
  call('DEL', KEYS[1])
else
  call('SET', KEYS[1], ARGV[1], 'PX', ARGV[3])
end
local noted = call('HGET', KEYS[2], 'multiplier') or ARGV[2]
if noted ~= ARGV[1] then
  call('XADD', KEYS[3], 'MAXLEN', '~', CHANGES_KEPT, '*', 'tenant', ARGV[4], 'action', ARGV[5], 'before', noted,
    'after', ARGV[1], 'p95_us', ARGV[6], 'samples', ARGV[7], 'threshold_us', ARGV[8], 'pushback', ARGV[9])
  call('EXPIRE', KEYS[3], KEEP_SECONDS)
end
call('HSET', KEYS[2], 'multiplier', ARGV[1], 'p95_us', ARGV[6], 'samples', ARGV[7], 'threshold_us', ARGV[8],
  'pushback', ARGV[9])
call('EXPIRE', KEYS[2], KEEP_SECONDS)
return before
