-- Keep how calls of a connection ended and, when a step of its learned limit is due, hand out what the step goes by.
--
-- KEYS[1]  string  the learned limit: "<calls in flight>|<step>|<state>" (learned.lua)
-- KEYS[2]  list    ends: "<at us>:<latency us, or nothing>:<1 if pushed back>:<calls in flight before it>", newest last
-- KEYS[3]  string  when the next step is due (us)
-- KEYS[4]  sorted set  leases of the learned limit
--
-- ARGV[1] now (us; "" for the server's clock) · [2] us between two steps · [3] ends kept · [4] for how long (us) ·
-- [5] lease (us) · [6] ages wanted at most
-- then two per call that ended, and whose slot is free: latency (us; "" when the upstream was not heard) · "1" if it
-- pushed back
--
-- Returns  nil when no step is due, or another worker is at it; else now (us) · the limit ("" when there is none) ·
--          calls in flight · how many ages follow · how long the oldest of them have been in flight (us) · the ends

local call, num, text = redis.call, tonumber, string.format

local now = num(ARGV[1])
if not now then
  local t = call('TIME')
  now = t[1] * 1000000 + t[2]
end
local at, lease, ended = text('%.0f', now), num(ARGV[5]), (#ARGV - 6) / 2
call('ZREMRANGEBYSCORE', KEYS[4], '-inf', at)
local in_flight = call('ZCARD', KEYS[4])

if ended > 0 then
  local ends = {}
  for i = 1, ended do
    local latency, pushed_back = ARGV[5 + 2 * i], ARGV[6 + 2 * i]
    ends[i] = at .. ':' .. latency .. ':' .. pushed_back .. ':' .. text('%d', in_flight + ended - i + 1)
  end
  call('RPUSH', KEYS[2], unpack(ends))
  call('LTRIM', KEYS[2], -num(ARGV[3]), -1)
  call('PEXPIRE', KEYS[2], math.ceil(num(ARGV[4]) / 1000) + 1000)
end

local due = num(call('GET', KEYS[3]) or 0)
if due > now and due <= now + num(ARGV[2]) then return nil end
call('SET', KEYS[3], text('%.0f', now + num(ARGV[2])), 'PX', 60000)

local oldest = call('ZRANGE', KEYS[4], 0, num(ARGV[6]) - 1, 'WITHSCORES')
local answer = { now, call('GET', KEYS[1]) or '', in_flight, #oldest / 2 }
for i = 2, #oldest, 2 do answer[#answer + 1] = now - (num(oldest[i]) - lease) end
for _, each in ipairs(call('LRANGE', KEYS[2], 0, -1)) do answer[#answer + 1] = each end
return answer
