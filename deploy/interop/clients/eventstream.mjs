import { openStream } from '../../../web/eventstream.js'
import { report, url } from './report.mjs'

openStream(url, { onEvent: ({ id, data }) => report(id, data) })
