// Figures as people read them.

const NONE = '–'
const NBSP = '\u00a0' // a figure and its unit stay together

/** `420 ms`, `1.9 s`, `34 s`, `2 min 5 s`. */
export function duration(seconds) {
  if (seconds === null || seconds === undefined) return NONE
  if (seconds < 0.9995) return `${Math.round(seconds * 1000)}${NBSP}ms`
  if (seconds < 9.95) return `${seconds.toFixed(1)}${NBSP}s`
  return countdown(seconds)
}

/** Whole seconds, rounded up: it is zero only when the time is up. */
export function countdown(seconds) {
  const whole = Math.ceil(Math.max(0, seconds))
  if (whole < 60) return `${whole}${NBSP}s`
  if (whole < 3600) return `${Math.floor(whole / 60)}${NBSP}min ${whole % 60}${NBSP}s`
  return `${Math.floor(whole / 3600)}${NBSP}h ${Math.floor((whole % 3600) / 60)}${NBSP}min`
}

export function perSecond(rate) {
  if (rate === 0) return '0/s'
  if (rate < 0.05) return '< 0.1/s'
  return rate < 9.95 ? `${rate.toFixed(1)}/s` : `${Math.round(rate)}/s`
}

/** A share as a percentage; never 0 % for something, nor 100 % for less than all. */
export function percent(share) {
  if (share > 0 && share < 0.01) return `< 1${NBSP}%`
  if (share < 1 && share > 0.99) return `> 99${NBSP}%`
  return `${Math.round(share * 100)}${NBSP}%`
}

/** The time of day here, from seconds since 1970. */
export function clock(at) {
  return at === null || at === undefined ? NONE : new Date(at * 1000).toLocaleTimeString('en-GB')
}

export const iso = at => new Date(at * 1000).toISOString()

export function tokens(decision) {
  const {input_tokens: input, output_tokens: output} = decision
  const known = value => value !== null && value !== undefined
  return known(input) || known(output) ? `${input ?? NONE} → ${output ?? NONE}` : NONE
}

/** Envoy's response flags, in words. */
export const FLAGS = {
  DC: 'the client left before the answer was complete',
  DI: 'a delay was injected',
  DPE: 'the client broke the protocol',
  FI: 'a fault was injected instead of an answer',
  LR: 'the connection was reset on this side',
  NC: 'the route leads to a target that is not there',
  NR: 'no route matches the request',
  RL: 'a rate limit refused the request',
  SI: 'nothing came on the stream for too long',
  UC: 'the provider ended the connection',
  UF: 'no connection to the provider',
  UH: 'no healthy endpoint was in rotation',
  UO: 'a limit of the connection pool refused the request',
  UPE: 'the provider broke the protocol',
  UR: 'the provider reset the request',
  URX: 'the limit of retries or of connection attempts was reached',
  UT: 'the provider took too long',
}
