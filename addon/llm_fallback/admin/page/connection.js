// Following the proxy, for as long as the page is open: whatever ends, begins again.

const FIRST_DELAY_MS = 500
const LONGEST_DELAY_MS = 5000
/** A state comes every few seconds; without one for so long, nobody is there. */
const SILENCE_MS = 20000
const LOOK_MS = 5000
/** A hidden tab has a title still. */
const HIDDEN_LOOK_MS = 30000

/**
 * Follow the proxy. `on` has `state`, `decision` and `timeline`, which take data, and `status`, which takes
 * `live`, `looking` (the proxy has readers enough: its state is asked for now and then), `hidden` or
 * `reconnecting`. Each stream begins with the whole state: what was missed is in it.
 *
 * Browsers open few connections to a host, for all tabs together: a tab that nobody sees holds none.
 */
export function follow(on) {
  let source = null
  let looking = null
  let delay = FIRST_DELAY_MS
  let timer = 0

  function start() {
    stop()
    if (document.hidden) {
      on.status('hidden')
      look('hidden', HIDDEN_LOOK_MS)
    } else {
      open()
    }
  }

  function stop() {
    clearTimeout(timer)
    source?.close()
    looking?.abort()
  }

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
    // It is closed by an answer that is no stream, and by nothing else.
    source.addEventListener('error', ({target}) =>
      target.readyState === EventSource.CLOSED ? look('looking', LOOK_MS) : again())
    wait(again, SILENCE_MS)
  }

  /** Ask for the state once, and start again later. */
  async function look(status, ms) {
    looking = new AbortController()
    const {signal} = looking
    wait(again, SILENCE_MS)
    const state = await asked(signal)
    if (signal.aborted) return
    if (!state) return again()
    delay = FIRST_DELAY_MS
    wait(start, ms)
    on.state(state)
    on.status(status)
  }

  function again() {
    stop()
    on.status('reconnecting')
    wait(start, delay)
    delay = Math.min(delay * 2, LONGEST_DELAY_MS)
  }

  function wait(next, ms) {
    clearTimeout(timer)
    timer = setTimeout(next, ms)
  }

  document.addEventListener('visibilitychange', () => {
    delay = FIRST_DELAY_MS
    start()
  })
  start()
}

/** The state as a whole; null if there is none to be had. */
async function asked(signal) {
  try {
    const response = await fetch('/api/state', {signal})
    return response.ok ? await response.json() : null
  } catch {
    return null
  }
}
