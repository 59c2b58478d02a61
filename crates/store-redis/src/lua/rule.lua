-- The arithmetic of `countersign_domain::limits`, in microseconds.
-- ARGV: now, then a rule: 'W', limit, window or 'B', free, first, longest, forget
-- tally = count u32, until, lapses_at i64
local key, now, rule = KEYS[1], tonumber(ARGV[1]), ARGV[2]
local a, b, longest, forget = tonumber(ARGV[3]), tonumber(ARGV[4]), tonumber(ARGV[5]), tonumber(ARGV[6])

local function delay(count)
  local doublings = count - a
  if doublings < 0 then
    return 0
  elseif doublings > 30 then
    return longest
  end
  return math.min(b * 2 ^ doublings, longest)
end

local function load()
  local tally = redis.call('GET', key)
  if tally and #tally == 20 then
    return struct.unpack('>I4i8i8', tally)
  end
end

-- A tally is worth nothing once it has lapsed; it stays a minute longer, for clocks that differ.
local function store(count, ends_at, lapses_at)
  local tally = struct.pack('>I4i8i8', count, ends_at, lapses_at)
  redis.call('SET', key, tally, 'PX', math.max(math.ceil((lapses_at - now) / 1000), 0) + 60000)
  return tally
end
