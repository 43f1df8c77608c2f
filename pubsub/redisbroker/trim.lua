-- What both scripts share. KEYS[1] is the stream; ARGV[1] and ARGV[2] are the events
-- and the bytes that it may keep. An entry of a replica has the fields t, c, n and d: the
-- running total of the sizes of all entries up to it, channel, name and data. Entries of
-- other programs have no total, but they are counted in the next one that there is. What
-- is kept is the difference of two totals, so there is no counter that could drift.

local key, maxEvents, maxBytes = KEYS[1], tonumber(ARGV[1]), tonumber(ARGV[2])

-- maxLooked is how much, in sizes of entries, one call of a function may read, some 0.1 s:
-- Redis does nothing else meanwhile.
local maxLooked = 40 * 1024 * 1024

-- size is what an entry with so many bytes in its fields counts. Redis needs some 30
-- bytes more for a small one; a large one has a node of the stream for itself, and up to
-- a quarter of it is lost to how memory is allocated.
local function size(bytes)
  return 32 + bytes + math.floor(bytes / 4) + math.min(math.floor(bytes / 6), 340)
end

-- measure returns the size of an entry and its total, or nil if it is another program's.
-- A field that is there twice counts once.
local function measure(entry)
  local fields, bytes = {}, 0
  for i = 1, #entry[2], 2 do
    fields[entry[2][i]] = entry[2][i + 1]
  end
  for name, value in pairs(fields) do
    if name ~= 't' then
      bytes = bytes + #value
    end
  end
  return size(bytes), fields.t and string.match(fields.t, '^%d+$') and tonumber(fields.t)
end

-- newest returns the id of the newest entry as two numbers, the total up to it, and how
-- much of that is not in the total of an entry yet.
local function newest()
  local ms, sequence, from, count, others = nil, nil, '+', 1, 0
  while others < maxLooked do
    local entries = redis.call('XREVRANGE', key, from, '-', 'COUNT', count)
    for _, entry in ipairs(entries) do
      if not ms then
        ms, sequence = string.match(entry[1], '(%d+)-(%d+)')
      end
      local size, total = measure(entry)
      if total then
        return tonumber(ms), tonumber(sequence), total + others, others
      end
      others = others + size
      from = '(' .. entry[1]
    end
    if #entries < count then
      break
    end
    count = 16
  end
  return tonumber(ms or 0), tonumber(sequence or 0), others, others
end

-- trim drops the oldest entries until the rest fits. The newest always stays. What is
-- beyond maxLooked is left to the next call: after a limit was lowered, the stream may be
-- many times as large.
local function trim(upTo)
  local length = redis.call('XLEN', key)
  local function keep(n)
    if n < length then
      length = math.max(n, 1)
      redis.call('XTRIM', key, 'MAXLEN', length)
    end
  end
  keep(maxEvents)

  local run, bytes = {}, 0 -- sizes of the oldest entries, up to one that has a total
  local dropped = 0
  -- dropRun drops the oldest entries of the run until what is kept, the run included, fits.
  -- It returns true if something of the run is left.
  local function dropRun(kept)
    for _, size in ipairs(run) do
      if kept <= maxBytes then
        return true
      end
      kept, dropped = kept - size, dropped + 1
    end
    run, bytes = {}, 0
  end

  local from, count, looked = '-', 1, 0
  while looked < maxLooked do
    local oldest = redis.call('XRANGE', key, from, '+', 'COUNT', count)
    for _, entry in ipairs(oldest) do
      local size, total = measure(entry)
      run[#run + 1], bytes, looked, from = size, bytes + size, looked + size, '(' .. entry[1]
      if total and dropRun(total <= upTo and upTo - total + bytes or math.huge) then
        return keep(length - dropped)
      end
    end
    if #oldest < count then
      dropRun(bytes)
      return keep(length - dropped)
    end
    count = 16
  end
  if #run > 0 then -- the rest is likely to be as large as these are
    dropRun(bytes / #run * (length - dropped))
  end
  keep(length - dropped)
end
