import { openStream } from './eventstream.js'

/** Shows what a URL answers, and asks again at each event of a stream; returns what ends it. */
export function showNewest(url: string, events: string, show: (answer: unknown) => void): () => void {
  let asked = new AbortController()
  async function ask() {
    asked.abort() // an answer that is under way may be older than the event
    asked = new AbortController()
    const response = await fetch(url, { signal: asked.signal })
    if (!response.ok) throw new Error(`${url} answers ${response.status}`)
    show(await response.json())
  }
  const again = () => ask().catch((error) => { if (error.name !== 'AbortError') console.warn(error) })
  const stream = openStream(events, {
    onEvent: again, // whatever its name: after a gap, too
    onState: (state) => { if (state === 'open') void again() }, // no event reports what changed before
  })
  return () => { stream.close(); asked.abort() }
}
