import { createEventSource } from 'eventsource-client'
import { report, url } from './report.mjs'

createEventSource({ url, onMessage: ({ id, data }) => report(id, data) })
