-- Take in what one worker counted in one minute: once, however often it is sent.
--
-- KEYS[1]  string      number of the last batch of this worker
-- KEYS[2]  sorted set  minutes whose demand is not in the database yet, by themselves
-- KEYS[3]  hash        of this minute: "<second>|<tenant>" -> lines (limiter/demand/lines.py)
-- KEYS[4]  hash        the calls of all tenants in this minute: "<second>|<outcome>" -> how many (limiter/demand/sums.py)
--
-- ARGV[1]  number of this batch, rising · [2] minute · [3] seconds that it waits for the database at most ·
--          [4] seconds that the calls of all tenants are kept · [5] how many words of them follow
-- then     field, how many more; then field, line
--
-- Returns  1 if it was taken in, 0 if it had been

local call = redis.call
local REMEMBERED_S = 86400

local last = call('GET', KEYS[1])
if last and tonumber(last) >= tonumber(ARGV[1]) then return 0 end
call('SET', KEYS[1], ARGV[1], 'EX', REMEMBERED_S)
call('ZADD', KEYS[2], ARGV[2], ARGV[2])
local first = 6 + tonumber(ARGV[5])
for i = 6, first - 1, 2 do call('HINCRBY', KEYS[4], ARGV[i], ARGV[i + 1]) end
if first > 6 then call('EXPIRE', KEYS[4], ARGV[4]) end
for i = first, #ARGV, 2 do
  local before = call('HGET', KEYS[3], ARGV[i])
  call('HSET', KEYS[3], ARGV[i], before and before .. '\n' .. ARGV[i + 1] or ARGV[i + 1])
end
call('EXPIRE', KEYS[3], ARGV[3])
call('EXPIRE', KEYS[2], ARGV[3])
return 1
