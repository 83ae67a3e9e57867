// Server-sent events, for as long as the page is open: whatever ends, begins again.

const FIRST_DELAY_MS = 500
const LONGEST_DELAY_MS = 5000
/** A state comes every 5 seconds at least; without one for so long, nobody is there. */
const SILENCE_MS = 15000

/**
 * Follow the proxy. `on` has `state`, `decision` and `timeline`, which take data, and `status`, which takes
 * `live` or `reconnecting`.
 */
export function follow(on) {
  let source = null
  let delay = FIRST_DELAY_MS
  let timer = 0

  function open() {
    clearTimeout(timer)
    source = new EventSource('/api/events')
    for (const name of ['state', 'decision', 'timeline']) {
      source.addEventListener(name, event => {
        watch()
        on[name](JSON.parse(event.data))
      })
    }
    source.addEventListener('open', () => void catchUp())
    source.addEventListener('error', again)
    watch()
  }

  /** All that happened while nobody listened. Events come meanwhile, so that none is missed. */
  async function catchUp() {
    const mine = source
    try {
      const response = await fetch('/api/state')
      if (!response.ok) throw new Error(String(response.status))
      const state = await response.json()
      if (mine !== source) return
      delay = FIRST_DELAY_MS
      on.state(state)
      on.status('live')
    } catch {
      if (mine === source) again()
    }
  }

  function watch() {
    clearTimeout(timer)
    timer = setTimeout(again, SILENCE_MS)
  }

  function again() {
    source.close()
    on.status('reconnecting')
    clearTimeout(timer)
    timer = setTimeout(open, delay)
    delay = Math.min(delay * 2, LONGEST_DELAY_MS)
  }

  open()
}
