// What many answers advise, and what loses updates: TestStateInChromium shows it.

import { openStream } from './eventstream.js'
import type { Item } from './items.js'

/** The state first, then the stream from now on: nobody tells of what changes in between. */
export async function naiveItems(show: (items: Item[]) => void) {
  const response = await fetch('/items')
  const items = new Map((await response.json() as Item[]).map((item) => [item.id, item]))
  show([...items.values()])
  openStream('/events', {
    onEvent({ data }) {
      const item: Item = JSON.parse(data)
      items.set(item.id, item)
      show([...items.values()])
    },
  })
}

/** The stream first: the state, which was read before the change, is shown after it. */
export function naiveStreamFirst(show: (items: Item[]) => void) {
  openStream('/events', {
    onEvent({ data }) { show([JSON.parse(data)]) },
    async onState(state) {
      if (state === 'open') show(await (await fetch('/items')).json())
    },
  })
}
