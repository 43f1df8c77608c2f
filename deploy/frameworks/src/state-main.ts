import { openStream } from './eventstream.js'
import { fakeStream } from './fakeStream.js'
import { showNewest } from './invalidate.js'
import { followItems, type Item } from './items.js'
import { naiveItems, naiveStreamFirst } from './naive.js'

const list = document.createElement('ol')
document.querySelector('main')!.append(list)
const show = (items: Item[]) => list.replaceChildren(...items.map(({ text }) => Object.assign(document.createElement('li'), { textContent: text })))

const ways: Record<string, () => unknown> = {
  '#snapshot': () => followItems(show),
  '#naive': () => naiveItems(show),
  '#naive-stream-first': () => naiveStreamFirst(show),
  '#fake': () => {
    const stream = fakeStream()
    openStream('/nowhere', { fetch: stream.fetch, onEvent: ({ data }) => show([{ id: 'a', text: data }]) })
    stream.send('id: 1\ndata: hello\n\n')
  },
  '#invalidation': () => showNewest('/items', '/changes', (items) => show(items as Item[])),
}
ways[location.hash]?.()
