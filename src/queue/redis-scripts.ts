import { createHash } from 'node:crypto';
import { MAX_CHILDREN } from '../merge.ts';
import { FIELDS_OF, MOVES } from './fields.ts';
import type { Parts } from './reader.ts';

/*
 * What is asked of a queue in Redis, in Lua: each a single request, in which nothing else happens meanwhile.
 * None writes. The keys of a queue are declared as far as they are fixed; those of its jobs are made of the
 * queue's own key, as BullMQ's scripts make theirs, so what runs BullMQ runs these: on a cluster too, where
 * BullMQ needs a prefix in braces.
 */

/** More children of one kind than this are not sorted, only some are taken. */
const MAX_SORTED = 1_000;

export interface RedisScript {
  /** Changes with the text, so that two versions of this package can share a client. */
  readonly name: string;
  readonly numberOfKeys: number;
  readonly lua: string;
}

function script(name: string, numberOfKeys: number, lua: string): RedisScript {
  const version = createHash('sha1').update(lua).digest('hex').slice(0, 12);
  return { name: `jobStatus.${name}:${version}`, numberOfKeys, lua };
}

/**
 * Looks jobs up: their fields, their state and their children.
 *
 * A job is in one place at a time. Sorted sets and the list of active jobs, which no more than the queue's
 * concurrency holds, say whether they have it; a job that none of them has waits, for to look for it among a
 * hundred thousand waiting ones takes milliseconds, during which Redis does nothing else.
 *
 * @param KEYS the sets in the order of `STATES`, the list of active jobs
 * @param ARGV the queue's key, with its last colon; ids
 * @returns for each id `[state, score, children, fields]`, or nil
 */
const read = (fields: readonly string[], withChildren: boolean) =>
  script(
    'read',
    6,
    `
local STATES = { "completed", "failed", "delayed", "prioritized", "waiting-children" }
local active

local function isActive(id)
  if not active then
    active = {}
    for _, each in ipairs(redis.call("LRANGE", KEYS[6], 0, -1)) do active[each] = true end
  end
  return active[id]
end

local function placeOf(id)
  for place, state in ipairs(STATES) do
    local score = redis.call("ZSCORE", KEYS[place], id)
    if score then return state, score end
  end
  return isActive(id) and "active" or "waiting", ""
end

local function some(key, count, all, random)
  if redis.call(count, key) <= ${MAX_SORTED} then return redis.call(all, key) end
  local members = redis.pcall(random, key, ${MAX_CHILDREN})
  return members.err and {} or members
end

local function childrenOf(key)
  local pending, processed = key .. ":dependencies", key .. ":processed"
  local ignored, failed = key .. ":failed", key .. ":unsuccessful"
  if redis.call("EXISTS", pending, processed, ignored, failed) == 0 then return {} end
  local children = some(pending, "SCARD", "SMEMBERS", "SRANDMEMBER")
  for _, more in ipairs({
    some(processed, "HLEN", "HKEYS", "HRANDFIELD"),
    some(ignored, "HLEN", "HKEYS", "HRANDFIELD"),
    redis.call("ZRANGE", failed, 0, ${MAX_CHILDREN - 1}),
  }) do
    for _, child in ipairs(more) do children[#children + 1] = child end
  end
  table.sort(children)
  for place = #children, ${MAX_CHILDREN + 1}, -1 do children[place] = nil end
  return children
end

local found = {}
for place = 2, #ARGV do
  local id = ARGV[place]
  local key = ARGV[1] .. id
  -- An id may be such that its key holds something else.
  local fields = redis.pcall("HMGET", key, ${fields.map((field) => `"${field}"`).join(', ')})
  if fields.err or not fields[1] then
    found[place - 1] = false
  else
    local state, score = placeOf(id)
    found[place - 1] = { state, score, ${withChildren ? 'childrenOf(key)' : '{}'}, fields }
  end
end
return found`,
  );

export const READ: Readonly<Record<Parts, RedisScript>> = {
  whole: read(FIELDS_OF.whole, true),
  'without-data': read(FIELDS_OF['without-data'], true),
  standing: read(FIELDS_OF.standing, false),
};

/**
 * @param KEYS a list, or a sorted set, of ids
 * @param ARGV the places of the first and the last to give
 * @returns the ids
 */
export const IDS = script(
  'ids',
  1,
  `
local command = redis.call("TYPE", KEYS[1]).ok == "zset" and "ZRANGE" or "LRANGE"
return redis.call(command, KEYS[1], ARGV[1], ARGV[2])`,
);

/**
 * The newest first: what ends meanwhile then puts a page off, and none is passed over.
 *
 * @param KEYS a sorted set of ended jobs
 * @param ARGV the time since when; how many to pass over, and how many to give
 * @returns ids, each before the time of its end
 */
export const ENDED = script(
  'ended',
  1,
  `return redis.call("ZREVRANGEBYSCORE", KEYS[1], "+inf", ARGV[1], "WITHSCORES", "LIMIT", ARGV[2], ARGV[3])`,
);

/**
 * @param KEYS the stream of events
 * @returns the id of its last event, or nil
 */
export const LAST_EVENT = script(
  'lastEvent',
  1,
  `
local last = redis.call("XREVRANGE", KEYS[1], "+", "-", "COUNT", 1)[1]
return last and last[1]`,
);

/**
 * Of the events after a place, each job's last, as `lastOfEach` has it: so that of a job that has been added,
 * started and completed one event goes over the wire.
 *
 * @param KEYS the stream of events
 * @param ARGV the place, as an event's id; how many events to read
 * @returns the place after them, how many were read, and `[jobId, event, id, value]` of each job
 */
export const CHANGES = script(
  'changes',
  1,
  `
local MOVES = { ${MOVES.map((event) => `["${event}"] = true`).join(', ')} }
local ENDS = { completed = "returnvalue", failed = "failedReason" }
local VALUES = { completed = "returnvalue", failed = "failedReason", removed = "prev" }

local function partsOf(id)
  local ms, count = string.match(id, "^(%d+)-(%d+)$")
  return tonumber(ms), tonumber(count)
end

-- The next id there can be: a bracket, for "after", is too new for Redis 5.
local ms, count = partsOf(ARGV[1])
local start = string.format("%.0f-%.0f", ms, count + 1)
local newest = redis.call("XREVRANGE", KEYS[1], "+", "-", "COUNT", 1)[1]
if newest then
  -- The stream began anew, by a clock that was put back.
  local newestMs, newestCount = partsOf(newest[1])
  if newestMs < ms or (newestMs == ms and newestCount < count) then start = "-" end
end

local events = redis.call("XRANGE", KEYS[1], start, "+", "COUNT", ARGV[2])
local last, jobIds, places = {}, {}, {}
for place, event in ipairs(events) do
  local fields = {}
  for at = 1, #event[2], 2 do fields[event[2][at]] = event[2][at + 1] end
  local jobId, name = fields.jobId, fields.event
  if jobId and name then
    local before = last[jobId] and last[jobId][2]
    local hidesMove = MOVES[before] and not MOVES[name]
    local hidesEnd = ENDS[before] and name == "removed"
    if not hidesMove and not hidesEnd then
      last[jobId] = { jobId, name, event[1], VALUES[name] and fields[VALUES[name]] or false }
      jobIds[place], places[jobId] = jobId, place
    end
  end
end

local jobs = {}
for place = 1, #events do
  local jobId = jobIds[place]
  if jobId and places[jobId] == place then jobs[#jobs + 1] = last[jobId] end
end
return { #events > 0 and events[#events][1] or ARGV[1], #events, jobs }`,
);
