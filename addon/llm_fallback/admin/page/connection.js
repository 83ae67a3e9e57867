// Server-sent events, for as long as the page is open: whatever ends, begins again.

const FIRST_DELAY_MS = 500
const LONGEST_DELAY_MS = 5000
/** A state comes every few seconds; without one for so long, nobody is there. */
const SILENCE_MS = 20000

/**
 * Follow the proxy. `on` has `state`, `decision` and `timeline`, which take data, and `status`, which takes
 * `live` or `reconnecting`. Each stream begins with the whole state: what was missed is in it.
 */
export function follow(on) {
  let source = null
  let delay = FIRST_DELAY_MS
  let timer = 0

  function open() {
    source = new EventSource('/api/events')
    for (const name of ['state', 'decision', 'timeline']) {
      source.addEventListener(name, event => {
        delay = FIRST_DELAY_MS
        wait(again, SILENCE_MS)
        on[name](JSON.parse(event.data))
        on.status('live')
      })
    }
    source.addEventListener('error', again)
    wait(again, SILENCE_MS)
  }

  function again() {
    source.close()
    on.status('reconnecting')
    wait(open, delay)
    delay = Math.min(delay * 2, LONGEST_DELAY_MS)
  }

  function wait(next, ms) {
    clearTimeout(timer)
    timer = setTimeout(next, ms)
  }

  open()
}
