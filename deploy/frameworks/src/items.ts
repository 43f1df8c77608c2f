import { openStream, type EventStream } from './eventstream.js'

export type Item = { id: string; text: string }

/** Shows the items of a service and keeps them up to date, until the function that it returns is called. */
export function followItems(show: (items: Item[]) => void): () => void {
  let stream: EventStream | undefined
  let ended = false
  void begin()
  return () => { ended = true; stream?.close() }

  async function begin() {
    const { items, position } = await load()
    if (ended) return
    show([...items.values()])
    stream = openStream('/events', {
      lastEventId: position,
      onEvent({ name, data }) {
        if (name === 'gap') { stream?.close(); void begin(); return } // changes were lost: everything anew
        const item: Item = JSON.parse(data)
        items.set(item.id, item) // set, not add: the state may have it already
        show([...items.values()])
      },
    })
  }
}

/** The items, and the place in the stream from which on it tells of every change to them. */
async function load(): Promise<{ items: Map<string, Item>; position: string }> {
  for (;;) {
    const response = await fetch('/items').catch(() => undefined)
    const position = response?.headers.get('Last-Event-ID')
    if (response?.ok && position) {
      const items: Item[] = await response.json()
      return { items: new Map(items.map((item) => [item.id, item])), position }
    }
    await new Promise((done) => setTimeout(done, 3000)) // and again
  }
}
