// Recent decisions: a line each, which opens.

import {details} from '/details.js'
import {byId, count, el, setText, sync, words} from '/dom.js'
import {clock, duration, iso, tokens} from '/format.js'
import {cameFrom, isError} from '/model.js'

const AT_A_TIME = 30
const COLUMNS = 7

export class Decisions {
  #shown = AT_A_TIME
  /** The decisions that were drawn last. */
  #drawn = []
  /** Those that stay while a row is open, so that nothing pushes it away; null without one. */
  #held = null

  /** `draw()` draws soon. */
  constructor(model, draw) {
    this.model = model
    this.draw = draw
    this.table = document.querySelector('table')
    for (const id of ['filter-text', 'filter-kind']) {
      byId(id).addEventListener('input', () => {
        this.#shown = AT_A_TIME
        this.render()
      })
    }
    byId('filter').addEventListener('submit', event => event.preventDefault())
    byId('decisions-more').addEventListener('click', () => {
      this.#shown += AT_A_TIME
      this.render()
    })
    byId('decisions-newer').addEventListener('click', () => {
      this.#held &&= this.model.decisions
      this.render()
      this.table.querySelector('tbody button')?.focus()
    })
  }

  /** Show those of a target only, and go there. */
  filter(text) {
    byId('filter-text').value = text
    byId('filter-kind').value = 'all'
    this.render()
    byId('filter-text').focus()
  }

  render() {
    const isOpen = () => this.table.querySelector('.details') !== null
    this.#held = isOpen() ? this.#held ?? this.#drawn : null
    const all = this.#held ?? this.model.decisions
    this.#drawn = all
    const text = byId('filter-text').value.trim().toLowerCase()
    const kind = byId('filter-kind').value
    const isWanted = decision => (kind === 'all' || decision.result === kind) && haystack(decision).includes(text)
    const found = all.filter(isWanted)
    // The head is a child of the table as well, and stays.
    sync(this.table, [HEAD, ...found.slice(0, this.#shown)], item => item.id, item =>
      item === HEAD ? {node: this.table.tHead} : row(item, this.draw))
    if (this.#held && !isOpen()) return this.render() // the filter has taken it away
    this.#tellNewer(isWanted)
    const isFiltered = text !== '' || kind !== 'all'
    setText(byId('decisions-count'), counted(all.length, found.length, isFiltered))
    byId('decisions-more').hidden = found.length <= this.#shown
    setText(byId('decisions-more'), `Show ${Math.min(AT_A_TIME, found.length - this.#shown)} more`)
  }

  #tellNewer(isWanted) {
    const known = new Set(this.#drawn.map(decision => decision.id))
    const newer = this.model.decisions.filter(decision => !known.has(decision.id) && isWanted(decision)).length
    byId('decisions-newer').hidden = newer === 0
    setText(byId('decisions-newer'), count(newer, 'newer decision'))
  }
}

const HEAD = {id: 'head'}

function counted(all, found, isFiltered) {
  if (all === 0) return 'No request yet.'
  return isFiltered ? `${found} of the last ${count(all, 'decision')}` : ''
}

function haystack(decision) {
  const {host, path, method, route, target, instead_of: insteadOf, model, request_model: asked, attempts, flags} = decision
  return [method, host, path, route, target, insteadOf, model, asked, decision.status, ...flags, ...attempts.map(each => each.target)]
    .join(' ')
    .toLowerCase()
}

function row(decision, draw) {
  const id = `decision-${decision.id}`
  const time = el('time', {datetime: iso(decision.at)}, clock(decision.at))
  const button = el(
    'button', {type: 'button', class: 'plain', 'aria-expanded': 'false', 'aria-controls': id, onclick: toggle},
    time, el('span', {class: 'hearing'}, ', details'),
  )
  const summary = el('tr', {class: isError(decision) ? 'is-failed' : ''}, el('td', {}, button), ...cells(decision))
  const node = el('tbody', {}, summary)
  let open = null

  function toggle() {
    if (open) open.remove()
    open = open ? null : el('tr', {class: 'details', id}, el('td', {colspan: COLUMNS}, details(decision)))
    if (open) node.append(open)
    button.setAttribute('aria-expanded', String(open !== null))
    draw()
  }

  return {node}
}

function cells(decision) {
  const from = cameFrom(decision)
  const way = [el('span', {class: 'route'}, decision.route), ' → ', el('b', {}, ...words(decision.target))]
  return [
    el(
      'td', {class: 'status'}, el('b', {}, decision.status === null ? 'no answer' : String(decision.status)),
      decision.flags.length ? ` ${decision.flags.join(',')}` : null,
      ...tags(decision).flatMap(tag => [' ', el('span', {class: 'tag'}, tag)]),
    ),
    el(
      'td', {class: 'request'}, el('span', {class: 'method'}, decision.method), ' ', el('b', {}, ...words(decision.host)),
      el('span', {class: 'path'}, decision.path),
      el('span', {class: 'narrow'}, ...words(`→\u00a0${decision.target}`)),
    ),
    el('td', {class: 'wide'}, ...way, from ? el('span', {class: 'from'}, ...words(`instead of ${from}`)) : null),
    el('td', {class: 'wide'}, decision.model ?? '–'),
    el('td', {class: 'wide number'}, tokens(decision)),
    el('td', {class: 'number'}, duration(decision.duration_s)),
  ]
}

function tags({result, override}) {
  return [result === 'answered' ? null : result, override ? 'by hand' : null].filter(Boolean)
}
