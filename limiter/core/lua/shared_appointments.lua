-- Appointments of a shared limit: when a call passes by the limit and by its account's share, both with all that is held.
--
-- In front of appointments.lua, for stacks that share a window or a bucket and hold units (docs/sharing.md has the reasons).
-- A held unit counts as its account's from when it is due. So an appointment is the earliest instant at which the call
-- delays no other one, and at which its account stays within its share and its ceiling with all that it holds. It may lie
-- before those of others: they leave gaps where their own share lets them have no more.
--
-- A *finder* is a function of a time (us): the earliest one from then on at which the call passes, math.huge if it never
-- does. It goes forward only, and so costs a few steps for each unit held, however often it is asked.

local call, num, ceil, floor, max, min = redis.call, tonumber, math.ceil, math.floor, math.max, math.min
local take = struct.unpack
local AHEAD_US = 20000000 -- so far ahead units are held at most; for one window if that is longer

local function forward(find)
  local reached = 0
  return function(at)
    if reached < math.huge then reached = find(max(at, reached)) end
    return reached
  end
end

-- Of units that each count for a time, from `froms` to `gones`, and of which at most so many count at once.
-- `leaves`: until when the call would count from a time on.
local function finder_of(froms, gones, units, most, cost, leaves)
  local n, counted, first = #froms, 0, 1
  local loads, full = {}, {} -- what counts at the beginning of each; the next one from there that leaves the call no room
  for k = 1, n do
    local from = froms[k]
    counted = counted + units[k]
    while gones[first] <= from do first, counted = first + 1, counted - units[first] end
    loads[k] = counted
  end
  for k = n, 1, -1 do
    if k < n and froms[k + 1] == froms[k] then loads[k] = loads[k + 1] end
    full[k] = loads[k] + cost > most and k or full[k + 1]
  end
  local last, used = 0, 0
  first = 1
  return forward(function(at)
    while true do
      while last < n and froms[last + 1] <= at do last, used = last + 1, used + units[last + 1] end
      while first <= last and gones[first] <= at do first, used = first + 1, used - units[first] end
      if used + cost > most then
        if first > last then return math.huge end
        at = gones[first]
      else
        local block = full[last + 1]
        if not block or froms[block] >= leaves(at) then return at end
        at = froms[block]
      end
    end
  end)
end

-- Of a window: units that are counted now, and those of appointments, each as if it came when it is due.
local function window_finder(book, most, held)
  local function leaves(at)
    if book.slice == 0 then return at + book.window end
    return (floor(at / book.slice) + 1) * book.slice + book.window
  end
  local froms, gones, units, wanted = {}, {}, {}, 0
  for _, each in ipairs(held) do wanted = wanted + each.cost end
  if book.slice == 0 then
    -- Whatever is held, the call has room once so many have left; the others count as if they stayed.
    local matter = min(book.used, max(0, book.used + wanted + book.cost - most))
    if matter > 0 then
      for k, came in ipairs(call('LRANGE', book.count, 0, matter - 1)) do
        froms[k], gones[k], units[k] = 0, came + book.window, 1
      end
    end
    most = most - (book.used - matter)
  elseif book.used > 0 then
    local names = {}
    for s = book.oldest, book.latest do names[#names + 1] = s end
    for s, counted in ipairs(call('HMGET', book.count, unpack(names))) do
      if counted then
        local k = #froms + 1
        froms[k], gones[k], units[k] = 0, (book.oldest + s) * book.slice + book.window, num(counted)
      end
    end
  end
  for _, each in ipairs(held) do
    local k, due = #froms + 1, max(book.at, each.due)
    froms[k], gones[k], units[k] = due, leaves(due), each.cost
  end
  return finder_of(froms, gones, units, most, book.cost, leaves)
end

local function limit_finder(book, quota, most, held)
  if book.cost > most then return function() return math.huge end end
  if book.own_finder then return forward(book.own_finder(book, quota, most, held)) end
  return window_finder(book, most, held)
end

-- Units that an account holds. Of those promised under other terms its tenant's clients come under the terms of now, and
-- their calls count for its ceiling.
local function holds(each, account, for_ceiling)
  if each.account == account then return for_ceiling or not each.beyond end
  local tenant = '^%d|%d+|%d+p?|%d+|(.*)$'
  return for_ceiling and string.match(each.account, tenant) == string.match(account, tenant)
end

-- Of the account's share, or its ceiling: what counts for it are whole slices (look_at_share.lua), for so many of them.
local function account_finder(book, most, count_for, held)
  local share, length = book.share, book.length
  local account, last = share[8], share[9]
  local function leaves(at) return (floor(at / length) + count_for) * length end
  local froms, gones, units, came = {}, {}, {}, share[3]
  book.ring = book.ring or not share.joins and call('HGET', share[7], '~' .. account) or ''
  if #book.ring > 40 then
    came = came - take('<d', book.ring, 9) + take('<I4', book.ring, 41)
    for s = 1, book.slices do
      local counted = take('<I4', book.ring, 33 + 8 * s)
      if counted > 0 then
        local k = #froms + 1
        froms[k], gones[k], units[k] = 0, (last - book.slices + s - 1 + count_for) * length, counted
      end
    end
  end
  if came > 0 then
    local k = #froms + 1
    froms[k], gones[k], units[k] = 0, (last + count_for) * length, came
  end
  for _, each in ipairs(held) do
    if holds(each, account, count_for > book.slices) then
      local k, due = #froms + 1, max(book.at, last * length, each.due)
      froms[k], gones[k], units[k] = due, leaves(due), each.cost
    end
  end
  return finder_of(froms, gones, units, most, book.cost, leaves)
end

-- The earliest time that suits all of these finders.
local function agreed(finders, at)
  repeat
    local before = at
    for _, finder in ipairs(finders) do
      if at < math.huge then at = finder(at) end
    end
  until at == before
  return at
end

-- Its terms, as decide.lua reads them.
local function read_terms(book)
  book.length, book.slices, book.ceiling = take('<dBd', ARGV[5], book.terms)
  book.reach = max(AHEAD_US, book.length * book.slices)
end

-- What the shares of one unit and more and those below add up to by the last division; nil if that did not say.
local function divided(book)
  local known = call('HGET', book.share[7], '#')
  if known and #known >= 40 then return take('<dd', known, 25) end
end

-- Units that are held beyond all shares.
local function beyond_finder(book, most, held)
  local marked = {}
  for _, each in ipairs(held) do
    if each.beyond then marked[#marked + 1] = each end
  end
  local window = book.length * book.slices
  local function leaves(at) return at + window end
  local froms, gones, units = {}, {}, {}
  for k, each in ipairs(marked) do
    local due = max(book.at, each.due)
    froms[k], gones[k], units[k] = due, leaves(due), each.cost
  end
  return finder_of(froms, gones, units, most, book.cost, leaves)
end

-- When the call can have a unit that is in nobody's share: each of those is held once. Whose shares are not used now may
-- use them within the time that counts, so until then their units stay free.
local function find_beyond(book, quota, most, slack, owed)
  local held, window = book.held, book.length * book.slices
  local near, far = {}, {}
  for _, finders in ipairs({ near, far }) do
    finders[1] = limit_finder(book, quota, finders == near and most - ceil(owed) or most, held)
    finders[2] = beyond_finder(book, slack, held)
    if book.ceiling > 0 then finders[3] = account_finder(book, book.ceiling, book.slices + 1, held) end
  end
  return function(at)
    local found = at < book.at + window and agreed(near, at) or math.huge
    if found < book.at + window then return found end
    return agreed(far, max(at, book.at + window))
  end
end

-- A finder of the time of an appointment: within the account's share, or beyond all shares; book.beyond says which. An
-- account whose share is less than a unit has its turn if no larger ones are to be kept.
local function promise_finder(book, quota, most, owed)
  local held, share, cost = book.held, book.share, book.cost
  local part = share[11]
  local big, small = divided(book)
  local slack = big and most - big - small or 0
  if big == 0 and part < 1 then part = max(part, cost) end
  local within = { limit_finder(book, quota, most, held) }
  if part < most then within[2] = account_finder(book, part, book.slices, held) end
  if book.ceiling > 0 then within[#within + 1] = account_finder(book, book.ceiling, book.slices + 1, held) end
  local beyond = part < most and slack >= cost and find_beyond(book, quota, most, slack, owed)
  return function(at)
    local found = agreed(within, at)
    local other = beyond and found > at and beyond(at) or math.huge
    book.beyond = other < found
    return min(found, other)
  end
end

-- When the next appointment could be, from `at` on: asked for later and later times only.
local function next_at(book, quota, most, at)
  if not book.length then read_terms(book) end
  book.finder = book.finder or promise_finder(book, quota, most, book.share[4])
  return book.finder(at)
end

-- Held units: of all, of the account's own, and of both those that are due and not claimed yet, which count as used. And
-- the units that are reserved for others beyond that, for a call within its share or above it.
local function count_held(book)
  local share, at, of, names = book.share, book.at, {}, {}
  local account, used, part, big, small = share[8], share[3], share[11], share[13], share[14]
  local sums = { all = 0, own = 0, due = 0, own_due = 0, of_account = 0 }
  for _, each in ipairs(book.held) do
    local name, units, due = each.account, each.cost, each.due <= at
    sums.all = sums.all + units
    if due then sums.due = sums.due + units end
    if name == account then
      sums.own, sums.of_account = sums.own + units, sums.of_account + 1
      if due then sums.own_due = sums.own_due + units end
    elseif due and name ~= '' then
      if not of[name] then names[#names + 1] = name end
      of[name] = (of[name] or 0) + units
    end
  end
  if names[1] then
    local unused_of = unused_units()
    for k, state in ipairs(call('HMGET', share[7], unpack(names))) do
      if state then
        local its_own, its_part = unused_of(state)
        local reserved = min(of[names[k]], its_own)
        if its_part >= 1 then big = big - reserved else small = small - reserved end
      end
    end
  end
  local unused = share.claim or max(0, part - used)
  if part >= 1 then big = big - unused else small = small - unused end
  sums.owed = part - used - sums.own_due > 0 and big or big + small
  return sums
end

-- The call comes for a unit that is held for it: its share had room for that when it was promised, and its ceiling has
-- unless others of its own came late. A promise of an account with other terms holds whatever the ceiling is now.
local function look_for_its_own(book, quota, most)
  local share, finders = book.share, { limit_finder(book, quota, most, book.heeded) }
  local full = finders[1](book.at) > book.at
  local passed = false
  if book.ceiling > 0 and book.promised_to == share[8] then
    finders[2] = account_finder(book, book.ceiling, book.slices + 1, {})
    passed = finders[2](book.at) > book.at
  end
  if full or book.due > book.at then share[1] = 3 end
  if passed then share[1] = 1 end
  if not passed and share[1] ~= 3 then
    share[1] = 0
    return 0
  end
  return agreed(finders, max(book.at, book.due)) - book.now
end

-- As look_at_share.lua, with the units held. Returns the wait (us).
local function look(book, quota, most, most_held)
  read_terms(book)
  if book.mine then return look_for_its_own(book, quota, most) end

  local share, at, cost, held = book.share, book.at, book.cost, book.held
  local sums, part, used, counted = count_held(book), share[11], share[3], book.used
  if book.debt > 0 then counted = book.debt / book.window end
  share[4], share.due = sums.owed, sums.own_due
  if sums.of_account >= max(1, floor(most_held * min(1, max(part, 1) / most))) then book.crowded = true end

  local lent = most - counted - sums.due - cost >= sums.owed - 0.000001
  local full, above = counted + sums.due + cost > most, used + sums.own_due + cost > part
  if book.crowded and book.ceiling == 0 and (full or above and not lent) then
    -- It holds nothing, and so need not be exact: a flood is answered at once.
    share[1], share[2] = full and 3 or 2, part
    return max(book.hint, held[#held].due - book.now, 1)
  end
  if counted + sums.all + cost > most then
    full = full or limit_finder(book, quota, most, held)(at) > at
  end
  if used + sums.own + cost > part then
    above = above or account_finder(book, part, book.slices, held)(at) > at
  end
  local passed = false
  if book.ceiling > 0 then
    passed = account_finder(book, book.ceiling, book.slices + 1, held)(at) > at
  end
  share[1] = passed and 1 or full and 3 or above and not lent and 2 or 0
  share[2] = passed and book.ceiling or part
  if share[1] == 0 then return 0 end

  book.finder = promise_finder(book, quota, most, sums.owed)
  local found = book.finder(at)
  if found == at then found = book.finder(at + book.length) end -- room that is not lent
  if found < math.huge then return found - book.now end
  -- Its share is less than the call, so no time can be promised. When everybody has been silent for so long it passes.
  book.crowded = true
  local silent = (share[9] + book.slices + 3) * book.length
  return max(book.hint, silent - book.now, 1)
end

-- The wait by the limit alone (us), should it be another one by then.
local function wait(book, quota, most)
  local at = limit_finder(book, quota, most, book.heeded)(book.at)
  if at == book.at then return 0 end
  return at < math.huge and at - book.now or -1
end

return look, next_at, wait
