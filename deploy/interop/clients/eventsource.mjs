import { EventSource } from 'eventsource'
import { report, url } from './report.mjs'

const events = new EventSource(url)
events.addEventListener('log', (event) => report(event.lastEventId, event.data))
