-- See to it that a stream has its consumer group, and say how it stands.
--
-- KEYS[1]  stream
-- KEYS[2]  hash    about this making of the stream: generation, settled (entries that are in the database), last (id)
-- ARGV[1]  group · [2] name of the generation, should this be a new one · [3] seconds that the hash is kept
--
-- Returns  nil when there is no stream; else generation · entries lost · id of the last one settled ("" if none) ·
--          id of the oldest one present ("" if none)
--
-- Lost: all entries ever added, less those that are present, settled, or pending though trimmed.

local call = redis.call
if call('EXISTS', KEYS[1]) == 0 then return nil end

local function info()
  local seen, flat = {}, call('XINFO', 'STREAM', KEYS[1])
  for i = 1, #flat, 2 do seen[flat[i]] = flat[i + 1] end
  return seen
end

local made = redis.pcall('XGROUP', 'CREATE', KEYS[1], ARGV[1], '0')
local stream = info()
if not made.err then
  call('DEL', KEYS[2])
  call('HSET', KEYS[2], 'generation', ARGV[2], 'settled', 0)
elseif string.sub(made.err, 1, 9) ~= 'BUSYGROUP' then
  return made
elseif call('EXISTS', KEYS[2]) == 0 then
  call('HSET', KEYS[2], 'generation', ARGV[2], 'settled', stream['entries-added'] - stream.length)
end
call('EXPIRE', KEYS[2], ARGV[3])

local oldest = stream['first-entry'] and stream['first-entry'][1] or ''
local missing = #call('XPENDING', KEYS[1], ARGV[1], '-', oldest == '' and '+' or '(' .. oldest, 10000)
local about = call('HMGET', KEYS[2], 'generation', 'settled', 'last')
local lost = stream['entries-added'] - stream.length - about[2] - missing
return { about[1], math.max(0, lost), about[3] or '', oldest }
