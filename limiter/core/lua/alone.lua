-- Take over the decisions of a worker that could not reach this store: once, however often they are sent.
--
-- KEYS[1]    string  present when this batch was taken over
-- KEYS[2]    stream  throttle events that are not in the database yet
-- KEYS[3]    hash    usage:  "<minute>|<tenant>|<action>|<counter>" -> count
-- KEYS[4]    hash    totals: "<tenant>|<counter>" -> count
--
-- ARGV[1]    refusals that the worker could not keep · [2] from · [3] until (us, worker's clock) · [4] counts that follow
-- then       a field of KEYS[3] and its count, for each count; then the text of each event (limiter/core/refusal.py)
--
-- Returns    1 if it was taken over now, 0 if it had been

local call, num = redis.call, tonumber
local KEEP_SECONDS = 604800
local EVENTS_KEPT = 1000000

if not call('SET', KEYS[1], '1', 'NX', 'EX', KEEP_SECONDS) then return 0 end

local first_event = 5 + 2 * num(ARGV[4])
for i = 5, first_event - 1, 2 do
  local tenant, counter = string.match(ARGV[i], '^%d+|([^|]*)|[^|]*|(.+)$')
  call('HINCRBY', KEYS[3], ARGV[i], ARGV[i + 1])
  call('HINCRBY', KEYS[4], tenant .. '|' .. counter, ARGV[i + 1])
end
for i = first_event, #ARGV do
  call('XADD', KEYS[2], 'MAXLEN', '~', EVENTS_KEPT, '*', 'event', ARGV[i], 'alone', '1')
end
if ARGV[1] ~= '0' then
  call('XADD', KEYS[2], 'MAXLEN', '~', EVENTS_KEPT, '*', 'lost', ARGV[1], 'from', ARGV[2], 'until', ARGV[3])
end
for i = 2, 4 do call('EXPIRE', KEYS[i], KEEP_SECONDS) end
return 1
