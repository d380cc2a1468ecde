-- Appointments: units of a limit that are held for refused calls until their clients come back (docs/waiting.md).
--
-- In front of decide.lua, for stacks with limits that hold units. Each of these has, in a key of its own:
--   string  VERSION, then ENTRY for each appointment, by when they are due: whose · cost (units) · due (us) · ends (us).
--           Whose: RETURNED or '0', and the name of a client, or of one call that waits, in twenty hexadecimal digits.
--           Of a shared limit SHARED_VERSION, and behind each the account in its pool (shared_appointments.lua)
-- A call takes its own appointment if it is due. Another one passes if it delays none: if all of them still fit when
-- they are due. A *book* is what a limit holds while a call is decided; see decide.lua for its fields.

local call, num, ceil, floor, sub = redis.call, tonumber, math.ceil, math.floor, string.sub
local max, min = math.max, math.min
local VERSION, ENTRY = '1', '<c21I4dd'
local SHARED_VERSION, SHARED_ENTRY = '2', '<c21I4dds'
local RETURNED = 'f' -- of a call that has returned for an appointment and waits here
local BEYOND = '1' -- of a unit that is in nobody's share
local SECOND = 1000000
local MAX_HELD, MAX_HELD_PER_KEY = 500, 100 -- of one limit
local MARGIN_MS = 1000 -- as in decide.lua
local look_at_shared, next_of_shared, wait_of_shared
if joint then look_at_shared, next_of_shared, wait_of_shared = joint() end

-- Windows, in slices or not: a unit is counted until it leaves. Those that are counted now leave before those of any
-- appointment, each of which is taken to be used when it is due.
local function leaves(book, at)
  if book.slice == 0 then return at + book.window end
  return (floor(at / book.slice) + 1) * book.slice + book.window
end

-- When so many of the units that are counted now have left.
local function left(book, units)
  if book.slice == 0 then return num(call('LINDEX', book.count, units - 1)) + book.window end
  if not book.sums then -- up to each slice
    local names, sums = {}, {}
    for s = book.oldest, book.latest do names[#names + 1] = s end
    for s, counted in ipairs(call('HMGET', book.count, unpack(names))) do
      sums[s] = (sums[s - 1] or 0) + num(counted or 0)
    end
    book.sums = sums
  end
  local low, high = 1, #book.sums
  while low < high do
    local mid = floor((low + high) / 2)
    if book.sums[mid] < units then low = mid + 1 else high = mid end
  end
  return (book.oldest + low) * book.slice + book.window
end

local function window_fits(book, _, most, held)
  local counted = book.used + book.cost
  if counted > most then return false end
  local gone = leaves(book, book.at)
  for _, each in ipairs(held) do
    local due = max(book.at, each.due)
    if due >= gone then return true end -- this call takes nothing from it or those behind
    counted = counted + each.cost
    local over = counted - most
    if over > 0 and (over > book.used or left(book, over) > due) then return false end
  end
  return true
end

local function window_after(book, _, most, held)
  local over, from = book.used + book.cost - most, book.at
  for _, each in ipairs(held) do
    over, from = over + each.cost, max(from, each.due)
  end
  if over <= 0 then return from end
  if over <= book.used then return max(from, left(book, over)) end
  over = over - book.used
  local last = from
  for _, each in ipairs(held) do
    last, over = leaves(book, max(book.at, each.due)), over - each.cost
    if over <= 0 then break end
  end
  return max(from, last)
end

-- How a limit holds units: as a window, or as the file beside its algorithm's object says. `holding` stands in front, by
-- letter; what a call does not need of it is not made.
local function know_how(book)
  local own = holding[book.kind]
  if own then
    book.fits, book.after, book.own_finder = own().holding()
  else
    book.fits, book.after = window_fits, window_after
  end
  return book
end

-- The wait under these limits: 0 when the call passes, -1 when it never does.
local function wait(book, quota, most)
  if book.cost > most then return -1 end
  if book.share then return wait_of_shared(book, quota, most) end
  if book.fits(book, quota, most, book.heeded) then return 0 end
  return book.after(book, quota, most, book.heeded) - book.now
end

-- The same behind every appointment: the time of the next one.
local function next_time(book, quota, most)
  if book.cost > most then return math.huge end
  if book.share then return next_of_shared(book, quota, most, book.at) - book.now end
  return book.after(book, quota, most, book.held) - book.now
end

-- Read the appointments, and see how long the call waits for them. One that has an appointment of its own heeds only
-- those that came back before it and wait: earlier ones, if it waits itself.
local function look(book, quota, most)
  local at, held, of_key, mine_due = book.at, {}, 0, 0
  local open, next_entry, own_key = book.open or '', 2, sub(book.client or '', 1, 8)
  local version, account = sub(open, 1, 1), ''
  local last = (version == VERSION or version == SHARED_VERSION) and #open or 0
  while next_entry < last do
    local whose, cost, due, ends
    if version == VERSION then
      whose, cost, due, ends, next_entry = struct.unpack(ENTRY, open, next_entry)
    else
      whose, cost, due, ends, account, next_entry = struct.unpack(SHARED_ENTRY, open, next_entry)
    end
    local comes_at = joint and max(due - SECOND, min(due, ends - book.grace)) or due
    if not book.mine and ends >= at and cost == book.cost and comes_at <= at and sub(whose, 2) == book.sought then
      book.mine, book.promised_to, book.due = whose, account, due
      mine_due = book.waited and due or book.share and max(due, at) or math.huge
    elseif ends >= at then -- else nobody came in time
      held[#held + 1] = {
        whose = whose, cost = cost, due = due, ends = ends, account = account, beyond = sub(whose, 1, 1) == BEYOND,
      }
      if sub(whose, 2, 9) == own_key then of_key = of_key + 1 end
    end
  end
  book.held, book.heeded = held, held
  know_how(book)
  book.crowded = #held >= MAX_HELD or of_key >= MAX_HELD_PER_KEY
  if book.mine then
    local ahead = {}
    for _, each in ipairs(held) do
      if sub(each.whose, 1, 1) == RETURNED and each.due < mine_due then ahead[#ahead + 1] = each end
    end
    book.heeded = ahead
  end
  if book.share then return look_at_shared(book, quota, most, MAX_HELD) end
  return wait(book, quota, most)
end

-- The book of a limit that lets the call pass, and has no appointments yet.
local function book_of(limit, call_of)
  return know_how({
    key = limit[HOLDS], kind = limit[KIND], now = call_of.now, at = limit[AT], window = limit[WINDOW], slice = limit[SLICE],
    used = limit[USED], debt = limit[DEBT], oldest = limit[OLDEST], latest = limit[LATEST], cost = call_of.cost,
    held = {}, heeded = {}, share = limit[SHARE], terms = limit[TERMS],
  })
end

-- What shared limits hold lies between that of others: a later time may have no room where an earlier one had. Returns
-- the first time that suits all, and how far ahead it may lie.
local function agreed(limits, at)
  local before, reach
  repeat
    before, reach = at, math.huge
    for _, limit in ipairs(limits) do
      local book = limit[BOOK]
      if book and book.share then
        if at < math.huge then
          at = max(at, next_of_shared(book, limit[QUOTA], limit[EFFECTIVE], max(book.at, book.now + at)) - book.now)
        end
        reach = min(reach, book.reach or math.huge)
      end
    end
  until at == before
  return at, reach
end

-- A call that is refused only by limits that hold units gets the next one: it is held from when it comes free until a
-- grace after the whole seconds that the client is asked to wait. A client that comes back for one in time and finds no
-- unit yet, since others came late, waits here for as long as the grace: its unit comes next.
--
-- Returns whether the call came for an appointment, whether it has one now, and how long it waits at most (us).
local function promise(limits, call_of, later)
  local longest, books, ours, none_free, grace, returned, early = 0, 0, true, false, 0, false, false
  for _, limit in ipairs(limits) do
    if limit[HOLDS] and not (limit[BOOK] or call_of.admitted) then limit[BOOK] = book_of(limit, call_of) end
    if not limit[SHADOW] then
      local book, own = limit[BOOK], limit[WAIT] < 0 and math.huge or limit[WAIT]
      if book and book.mine then
        early = early or book.due > call_of.now
        returned = returned or not call_of.waited or sub(book.mine, 1, 1) == RETURNED
        grace = max(grace, limit[LEASE] + max(0, book.due - call_of.now))
      end
      longest, books = max(longest, own), max(books, own)
      if book and not (book.share or later or call_of.admitted) then
        books = max(books, next_time(book, limit[QUOTA], limit[EFFECTIVE]))
      end
      if limit[WAIT] ~= 0 and not book or book and book.crowded then ours = false end
      if later and book and book.share and not book.mine then ours = false end -- its share is not known by then
      if limit[WAIT] ~= 0 and book then none_free = true end
    end
  end
  if call_of.admitted then return returned, false, call_of.patience end
  local patience, now = call_of.patience, call_of.now
  local reach = math.huge
  if later then books = later elseif joint then books, reach = agreed(limits, books) end
  local shared = reach < math.huge
  local comes_next = shared and grace > 0 and not call_of.final and longest <= max(patience, grace)
  local stays = shared and call_of.final and early -- it cannot wait here, and so is asked to come once more
  local anew = not (comes_next or stays)
  if stays then
    books = longest
  elseif shared and anew and (call_of.final or books > patience) then
    books = agreed(limits, max(books, SECOND)) -- it comes back after a second at the earliest
  end
  if not (ours and (not anew or books < math.huge and books <= reach)) then
    -- The next refusal holds another one; but a unit that only waits for others, as for a slot, stays the client's.
    if longest > patience and none_free then
      for _, limit in ipairs(limits) do
        if limit[BOOK] and limit[BOOK].mine then limit[BOOK].changed = true end
      end
    end
    return returned, false, patience
  end
  if grace == 0 then longest = books end
  local waits = not call_of.final and longest <= max(patience, grace)
  if waits then patience = max(patience, longest) else longest = books end
  local due, asked, whose = now + longest, longest, call_of.itself
  if not waits then
    -- A unit of a shared limit is taken at the instant at which it is due: the client comes less than a second before it.
    asked = max(SECOND, (shared and floor or ceil)(longest / SECOND) * SECOND)
    whose, patience = call_of.client, min(patience, asked - 1)
  end
  for _, limit in ipairs(limits) do
    local book = limit[BOOK]
    if book then
      local held, place = book.held, #book.held + 1
      while place > 1 and held[place - 1].due > due do place = place - 1 end
      local mark = waits and returned and RETURNED or anew and book.beyond and BEYOND or '0'
      table.insert(held, place, {
        whose = mark .. whose, cost = book.cost, due = due, ends = now + asked + limit[LEASE],
        -- One that was promised under other terms stays so, and holds whatever the ceiling is now.
        account = book.share and (not anew and book.promised_to or book.share[8]) or '',
      })
      if limit[WAIT] ~= 0 then limit[WAIT] = shared and asked or longest end
      book.changed = true
    end
  end
  return returned, true, patience
end

-- Keep the changed ones. The appointment of a call that was charged is over.
local function write(limits, now, charged)
  for _, limit in ipairs(limits) do
    local book = limit[BOOK]
    if book and (book.changed or charged and book.mine) then
      local entries, ends, version, entry = {}, 0, VERSION, ENTRY
      for _, each in ipairs(book.held) do
        if each.account ~= '' then version, entry = SHARED_VERSION, SHARED_ENTRY end
      end
      entries[1] = version
      for i, each in ipairs(book.held) do
        entries[i + 1] = struct.pack(entry, each.whose, each.cost, each.due, each.ends, each.account)
        ends = max(ends, each.ends)
      end
      if ends == 0 then
        call('DEL', book.key)
      else
        call('SET', book.key, table.concat(entries), 'PX', ceil((ends - now) / 1000) + MARGIN_MS)
      end
    end
  end
end

return { look = look, wait = wait, next_time = next_time, promise = promise, write = write }
