import { url } from './page.js'
import { follow } from './plain.js'

const list = document.createElement('ol')
document.querySelector('main')!.append(list)
document.querySelector('button')!.onclick = follow(url, list)
