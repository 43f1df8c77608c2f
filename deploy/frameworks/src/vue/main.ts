import { createApp } from 'vue'
import { url } from '../page.js'
import Log from './Log.vue'

const app = createApp(Log, { url })
app.mount('main')
document.querySelector('button')!.onclick = () => app.unmount()
