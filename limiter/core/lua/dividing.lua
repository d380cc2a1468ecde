-- How a pool is divided among its accounts, "<class>|<weight>|<floor>|<ceiling>|<tenant>". It stands where it is called:
-- few calls divide, and so its functions are not made for the others.

-- Class, weight, floor and ceiling of an account, the last two in units (math.huge: no ceiling). With a "p" behind them
-- they are ten-thousandths of the limit in force, and a ceiling is one unit at least.
local function terms(account, effective)
  local class, weight, least, parts, bound = string.match(account, '^(%d)|(%d+)|(%d+)(p?)|(%d+)')
  least, bound = tonumber(least), tonumber(bound)
  if parts ~= '' then
    least = effective * least / 10000
    if bound > 0 then bound = math.max(1, math.floor(effective * bound / 10000)) end
  end
  return tonumber(class), tonumber(weight), least, bound > 0 and bound or math.huge
end

-- Divide the units of a limit: floors first, then class by class a common level times the weight, up to what each wants.
-- Accounts have class, weight, want, low (their floor, as far as they want it), and get a share.
local function fill(accounts, effective, wanted, floors)
  local max, min = math.max, math.min
  for _, each in ipairs(accounts) do each.share = each.want end
  if wanted <= effective then return end
  local left, cut = effective, floors > effective and effective / floors or 1
  for class = 1, 3 do
    local open, weights, wants = {}, 0, 0
    for _, each in ipairs(accounts) do
      if each.class == class then
        each.low = each.low * cut
        if cut < 1 then each.share = each.low end
        open[#open + 1], weights, wants, floors = each, weights + each.weight, wants + each.want, floors - each.low
      end
    end
    local rest = left - max(0, floors) -- the floors of the classes to come stay
    if cut == 1 and wants > rest then
      -- Water-filling between floor and want: accounts whose even part is too little or too much are settled first.
      local settled = true
      left = left - rest
      while settled and #open > 0 do
        local level, off, still = rest / weights, 0, {}
        for _, each in ipairs(open) do
          each.even = level * each.weight
          each.share = max(each.low, min(each.want, each.even))
          off = off + each.share - each.even
        end
        settled = false
        for _, each in ipairs(open) do
          if off >= 0 and each.share > each.even or off <= 0 and each.share < each.even then
            rest, weights, settled = rest - each.share, weights - each.weight, true
          else
            still[#still + 1] = each
          end
        end
        open = still
      end
    else
      left = left - wants
    end
  end
end

-- What its weight brings an account among those of its class and above, whose weights these are, if all want more than
-- they get; and its floor, as far as it is within that.
local function part_of(account, effective, weights)
  local class, weight, least, bound = terms(account, effective)
  local of_all = 0
  for above = 1, class do of_all = of_all + weights[above] end
  local part = math.min(math.max(effective * weight / of_all, least), bound)
  if part >= 1 then part = math.floor(part) end
  return part, math.min(least, part)
end

-- The same by the weights in the pool. `comes`: it is not among them yet.
local function even(hash, account, effective, comes)
  local known = redis.call('HGET', hash, '#')
  local weights = known and { struct.unpack('<ddd', known) } or { 0, 0, 0 }
  if comes then
    local class, weight = terms(account, effective)
    weights[class] = weights[class] + weight
  end
  return (part_of(account, effective, weights))
end

return fill, part_of, even, terms
