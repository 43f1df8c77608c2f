import { mount, unmount } from 'svelte'
import { url } from '../page.js'
import Log from './Log.svelte'

const app = mount(Log, { target: document.querySelector('main')!, props: { url } })
document.querySelector('button')!.onclick = () => unmount(app)
