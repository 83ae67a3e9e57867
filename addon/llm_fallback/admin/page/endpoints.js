// One endpoint of a target: where it stands, why, and for how long.

import {count, el, setAttribute, setText, symbol} from '/dom.js'
import {countdown} from '/format.js'
import {isOut} from '/model.js'

const SYMBOL_OF = {'in rotation': 'in', held: 'held', 'ejected by hand': 'hand'}

/** Its part of a card: `update` with every state, `tick` every second as well. */
export function endpointPart(actions, target) {
  const mark = symbol('in')
  const address = el('code')
  const stateText = el('span', {class: 'endpoint-state'})
  const detail = el('span', {class: 'detail'})
  const left = el('span', {class: 'left', 'aria-hidden': 'true'})
  const back = el('button', {type: 'button', onclick: () => actions.post('return', {place: place()})}, 'Return')
  const place = () => `${target}@${address.textContent}`
  const node = el('li', {}, mark.node, address, stateText, detail, back, left)
  let longest = 0

  function update(endpoint) {
    mark.set(SYMBOL_OF[endpoint.state] ?? 'out')
    setText(address, endpoint.address)
    setAttribute(back, 'aria-label', `Return ${place()}`)
    setText(detail, told(endpoint))
    // How long it is out in all is not known; what was seen first is the best guess.
    longest = isOut(endpoint) ? Math.max(longest, endpoint.returns_in_s ?? 0) : 0
  }

  function tick(endpoint, past, isAlone) {
    const time = endpoint.returns_in_s
    const seconds = time === null ? null : time - past
    stateText.hidden = isAlone
    setText(stateText, endpoint.state + (seconds === null ? '' : seconds > 0 ? `, ${countdown(seconds)} left` : ', back at the next sweep'))
    back.hidden = isAlone || !isOut(endpoint)
    left.hidden = seconds === null || longest === 0
    if (!left.hidden) left.style.setProperty('--left', String(Math.max(0, seconds / longest)))
  }

  return {node, update, tick}
}

function told(endpoint) {
  const inRow = Object.entries(endpoint.in_a_row).filter(([, number]) => number > 0)
  return [
    isOut(endpoint) ? endpoint.reason : null,
    isOut(endpoint) && endpoint.multiplier > 0 ? `multiplier ${endpoint.multiplier}` : null,
    ...inRow.map(([what, number]) => `${number} in a row (${what})`),
    endpoint.active_requests ? `${endpoint.active_requests} under way` : null,
    endpoint.pending_requests ? `${endpoint.pending_requests} waiting` : null,
    endpoint.connections ? count(endpoint.connections, 'connection') : null,
    endpoint.weight !== 1 ? `weight ${endpoint.weight}` : null,
  ].filter(Boolean).join(' · ')
}
