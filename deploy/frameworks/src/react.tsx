import { StrictMode } from 'react'
import { createRoot } from 'react-dom/client'
import { Log } from './Log.js'
import { url } from './page.js'

const root = createRoot(document.querySelector('main')!)
root.render(<StrictMode><Log url={url} /></StrictMode>)
document.querySelector('button')!.onclick = () => root.unmount()
