// What happened: ejections, returns, fallbacks, rescues, reloads, actions; newest first.

import {byId, el, setText, setWords, sync} from '/dom.js'
import {clock, iso} from '/format.js'

const AT_FIRST = 14
const HEARD = new Set(['ejected', 'returned', 'reload'])

export class Timeline {
  #shown = AT_FIRST

  constructor(model) {
    this.model = model
    byId('timeline-more').addEventListener('click', () => {
      this.#shown = this.#shown === AT_FIRST ? Infinity : AT_FIRST
      this.render()
    })
  }

  render() {
    const entries = this.model.timeline
    byId('timeline-none').hidden = entries.length > 0
    sync(byId('timeline'), entries.slice(0, this.#shown), entry => entry.id, line)
    const more = byId('timeline-more')
    more.hidden = entries.length <= AT_FIRST
    setText(more, this.#shown === AT_FIRST ? `Show all ${entries.length}` : 'Show fewer')
  }

  /** Have screen readers say it, if it is of the kind that matters to everybody. */
  tell(entry) {
    if (HEARD.has(entry.kind)) setText(byId('hearing'), entry.text)
  }
}

/** An entry may go on after it was first told: its text changes then. */
function line(entry) {
  const text = el('span', {class: 'text'})
  const node = el(
    'li', {class: `is-${entry.kind}`},
    el('time', {datetime: iso(entry.at)}, clock(entry.at)), el('span', {class: 'kind'}, entry.kind), text,
  )
  return {node, update: now => setWords(text, withoutKind(now))}
}

/** The text, less the kind where it begins with that: it stands beside it. */
function withoutKind({kind, text}) {
  return text.startsWith(`${kind} `) ? text.slice(kind.length + 1) : text
}
