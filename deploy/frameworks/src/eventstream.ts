// Copy web/eventstream.js and web/eventstream.d.ts to this place instead.
export * from '../../../web/eventstream.js'
