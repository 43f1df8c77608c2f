-- What both scripts share. KEYS[1] is the stream; ARGV[1] and ARGV[2] are the events
-- and the bytes that it may keep. The fields of an entry are t, c, n and d: the
-- running total of bytes of all entries up to it, channel, name and data. What is kept
-- is the difference of two totals, so there is no counter that could drift.

local key, maxEvents, maxBytes = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])

-- size is what an entry with so many bytes in its fields counts. Redis needs some 30
-- bytes more for a small one; a large one has a node of the stream for itself, and up to
-- a quarter of it is lost to how memory is allocated.
local function size(bytes)
  return 32 + bytes + math.floor(bytes / 4) + math.min(math.floor(bytes / 6), 340)
end

-- total is that of an entry, or nil if it was not written by these scripts.
local function total(entry)
  return entry[2][1] == 't' and tonumber(entry[2][2]) or nil
end

-- newest returns the id of the newest entry as two numbers, and the newest total.
local function newest()
  local ms, sequence
  for _, count in ipairs({1, 100}) do -- entries of others may come after the newest of ours
    for _, entry in ipairs(redis.call('XREVRANGE', key, '+', '-', 'COUNT', count)) do
      if not ms then
        ms, sequence = string.match(entry[1], '(%d+)-(%d+)')
      end
      if total(entry) then
        return tonumber(ms), tonumber(sequence), total(entry)
      end
    end
  end
  return tonumber(ms or 0), tonumber(sequence or 0), 0
end

-- maxLooked is how many bytes of entries one call of trim may read, some 0.1 s:
-- Redis does nothing else meanwhile.
local maxLooked = 32 * 1024 * 1024

-- trim drops the oldest entries until the rest fits, those of others included, whose
-- bytes are not known. The newest always stays. What is beyond maxLooked is left to the
-- next call: after a limit was lowered, the stream may be many times as large.
local function trim(upTo)
  local length = redis.call('XLEN', key)
  local function keep(n)
    if n < length then
      length = math.max(n, 1)
      redis.call('XTRIM', key, 'MAXLEN', length)
    end
  end
  local function fits(entry)
    local t = total(entry)
    return t and t <= upTo and upTo - t + size(#entry[2][4] + #entry[2][6] + #entry[2][8]) <= maxBytes
  end
  keep(maxEvents)
  local count, looked = 1, 0
  while upTo > 0 and length > 1 and looked < maxLooked do
    local oldest = redis.call('XRANGE', key, '-', '+', 'COUNT', count)
    for i, entry in ipairs(oldest) do
      if fits(entry) then
        return keep(length - i + 1)
      end
      for _, field in ipairs(entry[2]) do
        looked = looked + #field
      end
    end
    keep(length - #oldest)
    count = 16
  end
end
