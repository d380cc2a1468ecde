-- The sums of a shared bucket's pool, where those behind its count are not of this slice. It stands in decide.lua where that
-- calls it. After a division they are in the pool, until a call is charged. If they are of another pool, or a call that does
-- not know of them has charged, they are added up.

local lost = not turned
turned, sums = nil, call('HGET', hash, '')
if sums then
  turned, big, small = take('<ddd', sums)
  charged_at = 0
  if lost and (turned + 1) * length > now then
    local all, unused_of = call('HGETALL', hash), unused_units()
    big, small = 0, 0
    for a = 1, #all, 2 do
      if string.find(all[a], '^%d|') then
        local own, part = unused_of(all[a + 1])
        if part >= 1 then big = big + own else small = small + own end
      elseif all[a] == '#' and #all[a + 1] > 55 then -- and the head start of those that have come in this slice
        local one, left = take('<dd', all[a + 1], 41)
        small = small + min(one, left)
      end
    end
    -- Kept at once: else each call of a flood that is refused would add them up.
    local at_first, of = t or 0, w or window
    local count = struct.pack(
      BUCKET, text('%d %d %d', debt, at_first, of), turned, big, small, at_first, debt, of, 0, 256 * length + slices
    )
    if state then
      call('SET', key, count, 'KEEPTTL')
    else
      call('SET', key, count, 'PX', ceil(((turned + 1) * length - now) / 1000) + MARGIN_MS)
    end
    sums, written = true, #count
  end
end
