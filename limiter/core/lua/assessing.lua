-- In front of scripts after which a multiplier may be due: it is computed from the samples and from the calls in flight
-- that are overdue.

-- Each worker's calls that are in flight for longer than the threshold, as samples of their age. What a worker has not
-- repeated for so long is none: it died, or they ended.
local VALID_US = 5000000
local function with_overdue(samples, overdue, now)
  local ages = {}
  for _, report in ipairs(redis.call('HVALS', overdue)) do
    local at, of_worker = string.match(report, '^(%d+)|([%d,]*)')
    local older = now - (tonumber(at) or 0)
    if older < VALID_US then
      for age in string.gmatch(of_worker, '%d+') do ages[#ages + 1] = tonumber(age) + older end
    end
  end
  table.sort(ages)
  for _, age in ipairs(ages) do samples[#samples + 1] = string.format('%.0f:%.0f:0', now, age) end
  return samples
end

-- Note that samples came for whose multiplier; keys: samples, overdue, due, unassessed, assessed_by. Returns as
-- record.lua does.
local function when_due(keys, now, whose, settings, every_ms)
  local call, KEEP_SECONDS = redis.call, 604800
  -- The worker that is to compute it may die: then it is due again.
  local mine, due_ms = call('SET', keys.due, '1', 'NX', 'PX', every_ms), tonumber(every_ms)
  if not mine then due_ms = math.max(1, call('PTTL', keys.due)) end
  -- Without new samples it may be due much later: when the ages of a killed worker's calls count no more (adapt.lua).
  call('ZADD', keys.unassessed, mine and 'CH' or 'LT', now + due_ms * 1000, whose)
  call('HSET', keys.assessed_by, whose, settings)
  local kept = call('HINCRBY', keys.assessed_by, whose .. '|n', 1)
  call('EXPIRE', keys.unassessed, KEEP_SECONDS)
  call('EXPIRE', keys.assessed_by, KEEP_SECONDS)
  if not mine then return due_ms end
  return { kept, unpack(with_overdue(call('LRANGE', keys.samples, 0, -1), keys.overdue, now)) }
end

return { VALID_US = VALID_US, with_overdue = with_overdue, when_due = when_due }
