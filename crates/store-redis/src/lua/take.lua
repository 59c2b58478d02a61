-- `Rule::take`. Answers 'Y' and the new tally, or 'N' and when it is admitted.
local count, ends_at, lapses_at = load()
if count then
  local most, after = b, 0
  if rule == 'B' then
    most, after = delay(count), forget
  end
  local settled_end = math.min(ends_at, now + most)
  local settled_lapse = math.min(lapses_at, settled_end + after)
  if settled_end ~= ends_at or settled_lapse ~= lapses_at then
    ends_at, lapses_at = settled_end, settled_lapse
    store(count, ends_at, lapses_at)
  end
  if now >= lapses_at then
    count = nil
  end
end

if rule == 'W' then
  if not count then
    count, ends_at = 0, now + b
  end
  if count >= a then
    return 'N' .. struct.pack('>i8', ends_at)
  end
  return 'Y' .. store(count + 1, ends_at, ends_at)
end
if count and now < ends_at then
  return 'N' .. struct.pack('>i8', ends_at)
end
count = math.min((count or 0) + 1, 4294967295)
ends_at = now + delay(count)
return 'Y' .. store(count, ends_at, ends_at + forget)
