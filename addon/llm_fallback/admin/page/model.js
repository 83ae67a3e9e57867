// What the page knows: the last state, and the decisions and the timeline that came since.

const KEPT = 200
const MINUTE_S = 60

export class Model {
  state = null
  decisions = []
  timeline = []
  /** performance.now() when the state came: what counts down counts from then. */
  takenAt = 0

  /** A state, with or without decisions and timeline; that of a proxy started anew makes all older ones void. */
  take(state) {
    if (this.state && this.state.started_at !== state.started_at) {
      this.decisions = []
      this.timeline = []
    }
    this.state = state
    this.takenAt = performance.now()
    if (state.decisions) this.decisions = merged(this.decisions, state.decisions, newer)
    if (state.timeline) this.timeline = merged(this.timeline, state.timeline, (a, b) => b.id - a.id)
  }

  takeDecision(decision) {
    this.decisions = merged(this.decisions, [decision], newer)
  }

  /** Whether it is news. */
  takeEntry(entry) {
    const isNew = !this.timeline.some(known => known.id === entry.id)
    this.timeline = merged(this.timeline, [entry], (a, b) => b.id - a.id)
    return isNew
  }

  /** Where the requests of a target went last that could not go there itself; null: nobody asked. */
  goesTo(name) {
    return this.decisions.find(decision => cameFrom(decision) === name)?.target ?? null
  }

  /**
   * Requests and failures of the last minute, the present step counted as far as it goes, and the latest
   * latency in it. `failed_s`: how long ago the last failure was, to a step; null without one.
   */
  recent(name) {
    const {now, series: {step_s: step, at, targets}} = this.state
    const series = targets[name]
    if (!series) return {rate: 0, requests: 0, failures: 0, failed_s: null, p50: null, p95: null}
    const last = list => list.slice(-Math.round(MINUTE_S / step))
    const requests = sum(last(series.requests))
    const failures = sum(last(series.failures))
    return {
      rate: requests / (now - last(at)[0]),
      requests,
      failures,
      failed_s: failures ? now - at[series.failures.findLastIndex(number => number > 0)] : null,
      p50: latest(last(series.p50_ms)),
      p95: latest(last(series.p95_ms)),
    }
  }

  /** What is on a target by hand: faults and pins. */
  byHand(target) {
    const isHere = fault => fault.place.split('@')[0] === target.name || fault.place === target.host
    return {
      faults: this.state.faults.filter(isHere),
      pinned: this.state.pins.filter(pin => pin.host === target.host),
      pinnedTo: this.state.pins.filter(pin => pin.target === target.name),
    }
  }
}

/** The target that a decision should have had, if it has another one. */
export function cameFrom(decision) {
  if (decision.instead_of) return decision.instead_of
  const first = decision.attempts[0]
  return first && first.target !== decision.target ? first.target : null
}

/** Whether the client got an error, or nothing. */
export const isError = ({status}) => status === null || status >= 400

/** The targets that take no requests. */
export const whoIsOut = model => model.state.targets.filter(target => !target.in_rotation)

/** One sentence that says how things are, in parts: texts, and `{target}`, which are names of targets. */
export function headline(model) {
  const targets = model.state.targets
  if (!targets.length) return ['The configuration has no targets']
  const out = whoIsOut(model)
  if (out.length === targets.length && out.length > 1) return ['No target is in rotation']
  if (out.length > 1) return [`${out.length} of ${targets.length} targets are out of rotation`]
  if (out.length === 1) {
    const [{name}] = out
    const to = model.goesTo(name)
    return [{target: name}, ' is out of rotation', ...(to && to !== name ? [`: its requests go to ${to}`] : [])]
  }
  const endpoints = targets.flatMap(target => target.endpoints).filter(isOut).length
  const all = targets.length === 1 ? 'The target is in rotation' : `All ${targets.length} targets are in rotation`
  return [endpoints ? `${all}, ${endpoints === 1 ? 'one endpoint is' : `${endpoints} endpoints are`} not` : all]
}

export const isOut = endpoint => endpoint.state !== 'in rotation'

const newer = (a, b) => b.at - a.at

function merged(known, came, order) {
  const all = new Map([...known, ...came].map(each => [each.id, each]))
  return [...all.values()].sort(order).slice(0, KEPT)
}

const sum = numbers => numbers.reduce((a, b) => a + b, 0)

const latest = values => values.findLast(value => value !== null) ?? null
