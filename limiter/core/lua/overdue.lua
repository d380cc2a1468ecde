-- Take in for how long calls of one worker have been in flight that are overdue, in place of its last report.
--
-- KEYS[1]  list    samples (record.lua)
-- KEYS[2]  hash    overdue: worker -> "<at us>|<age us>,<age us>,…"
-- KEYS[3]  string  present while the multiplier is fresh enough
-- KEYS[4]  sorted set, KEYS[5] hash: the unassessed targets, and how (record.lua)
--
-- ARGV[1] now (us; "" for the server's clock) · [2] the worker · [3] ages (us), with commas between them; "" for none ·
-- [4] what KEYS[4] calls them · [5] the settings · [6] ms between two computations of the multiplier
--
-- Returns  as record.lua

local now = tonumber(ARGV[1])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end
if ARGV[3] == '' then
  redis.call('HDEL', KEYS[2], ARGV[2])
else
  redis.call('HSET', KEYS[2], ARGV[2], string.format('%.0f|', now) .. ARGV[3])
  redis.call('PEXPIRE', KEYS[2], assessing.VALID_US / 1000)
end
local keys = { samples = KEYS[1], overdue = KEYS[2], due = KEYS[3], unassessed = KEYS[4], assessed_by = KEYS[5] }
return assessing.when_due(keys, now, ARGV[4], ARGV[5], ARGV[6])
