import { EventSource } from 'undici'
import { report, url } from './report.mjs'

const events = new EventSource(url)
events.addEventListener('log', (event) => report(event.lastEventId, event.data))
setInterval(() => {}, 1 << 30) // its own timer for reconnecting does not keep the process
