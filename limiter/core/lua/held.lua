-- Say what one limit's count holds: when its units leave, and how fast they came. Nothing is written.
--
-- KEYS[1]  the count: list (log), hash (counter), string (bucket)
-- ARGV[1]  algorithm (the letter) · [2] window (us) · [3] refill (units per window; bucket only) ·
--          [4] now (us; "" for the server's clock) · [5] pace: look back so far (us) · [6] points at most
--
-- Returns  now (us) · used (units; for a bucket units times window) · came (units) · over (us) ·
--          units of the last call · us since the last call · then pairs: leaves in (us), units; soonest first
--
-- At most [6] pairs: a log of more units comes in blocks, each reported to leave with its last unit. Each algorithm's part
-- is beside its object (../algorithms/<name>.lua), and in front of this script: `algorithms`, by letter.

local num = tonumber
local now = num(ARGV[4])
if not now then
  local t = redis.call('TIME')
  now = t[1] * 1000000 + t[2]
end
return algorithms[ARGV[1]].held(KEYS[1], now, num(ARGV[2]), num(ARGV[3]), num(ARGV[5]), num(ARGV[6]))
  or { now, 0, 0, 0, 0, 0 }
