-- What both scripts share. KEYS[1] is the stream; ARGV[1] and ARGV[2] are the events
-- and the bytes that it may keep; ARGV[3] and ARGV[4] are an id, ms and sequence, that a
-- new id must be above: a Redis that has lost events, and whose clock is behind, would
-- otherwise give out ids that its clients have passed.
--
-- An entry of a replica has the fields t, c, n and d: the running total of the sizes of
-- all entries up to it, channel, name and data. The total names the id of its entry, as in
-- 1234@1763683200000-0, so that the field t of another program, or of a copied entry, is
-- not taken for one. Entries without a total are counted in the next one that there is.
-- What is kept is the difference of two totals, so there is no counter that could drift.

local key, maxEvents = KEYS[1], tonumber(ARGV[1])
local maxBytes = tonumber(ARGV[2]) * 0.95 -- size guesses, and is too low by up to a tenth for small entries
local ms, sequence = tonumber(ARGV[3]), tonumber(ARGV[4])

-- maxLooked is how much, in sizes of entries, one call of a function may read, some 0.1 s:
-- Redis does nothing else meanwhile.
local maxLooked = 40 * 1024 * 1024

-- size is what an entry with so many bytes in its fields counts. Redis needs some 50
-- bytes more for a small one; a large one has a node of the stream for itself, and up to
-- a quarter of it is lost to how memory is allocated.
local function size(bytes)
  return 52 + bytes + math.floor(bytes / 4) + math.min(math.floor(bytes / 6), 340)
end

-- measure returns the size of an entry and its total, or nil if it has none. A field that
-- is there twice counts once.
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
  local total, id = string.match(fields.t or '', '^(%d+)@(.*)$')
  return size(bytes), id == entry[1] and tonumber(total) or nil
end

-- measureAll returns the total up to the newest entry, and how much of that is not in the
-- total of an entry yet. From then on, new ids are above the newest, too.
local function measureAll()
  local from, count, others = '+', 1, 0
  while others < maxLooked do
    local entries = redis.call('XREVRANGE', key, from, '-', 'COUNT', count)
    for _, entry in ipairs(entries) do
      if from == '+' then
        local left, right = string.match(entry[1], '(%d+)-(%d+)')
        left, right = tonumber(left), tonumber(right)
        if left > ms or left == ms and right > sequence then
          ms, sequence = left, right
        end
      end
      local size, total = measure(entry)
      if total then
        return total + others, others
      end
      others = others + size
      from = '(' .. entry[1]
    end
    if #entries < count then
      break
    end
    count = 16
  end
  return others, others
end

-- tooHigh is the reply if ms is more than an id can have.
local tooHigh = redis.error_reply('ERR ' .. key .. ' has had an entry with an id so high that none can follow: ' ..
  'delete or rename the key, and restart all replicas')

-- add appends an entry, with the time as its id, or if that is not high enough, the lowest
-- id that is.
local function add(total, channel, name, data)
  local time = redis.call('TIME')
  local now = time[1] * 1000 + math.floor(time[2] / 1000)
  if now > ms then
    ms, sequence = now, 0
  elseif sequence < 2 ^ 53 then -- beyond it numbers have gaps
    sequence = sequence + 1
  else
    ms, sequence = ms + 1, 0
  end
  if ms >= 2 ^ 64 then
    return tooHigh
  end
  local function try(id)
    return redis.pcall('XADD', key, id, 't', string.format('%.0f@%.0f-%.0f', total, ms, sequence), 'c', channel, 'n', name, 'd', data)
  end
  local reply = try(string.format('%.0f-%.0f', ms, sequence))
  if type(reply) == 'table' and string.find(reply.err, 'equal or smaller') then -- an entry with a higher id was deleted
    reply = try('*')
  end
  return reply
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
