// What a person has set, which no rule explains: always in sight, and a button away from being gone.

import {byId, el, sync, words} from '/dom.js'

export class Overrides {
  constructor(model, actions) {
    this.model = model
    this.actions = actions
    byId('clear-all').addEventListener('click', () => actions.post('clear', {what: 'all'}))
  }

  render() {
    const items = overridesOf(this.model.state)
    byId('overrides').hidden = items.length === 0
    sync(byId('overrides-list'), items, item => item.text, item => ({
      node: el(
        'li', {}, el('span', {}, ...words(item.text)),
        el(
          'button', {type: 'button', 'aria-label': `${item.label}: ${item.text}`, onclick: () => this.actions.post(...item.action)},
          item.label,
        ),
      ),
    }))
  }
}

function overridesOf({faults, pins, targets}) {
  return [
    ...faults.map(fault => ({
      text: `Fault on ${fault.place}: ${fault.text}`,
      label: 'Clear',
      action: ['clear', {what: fault.place}],
    })),
    ...pins.map(pin => ({
      text: `All requests for ${pin.host} go to ${pin.target}`,
      label: 'Clear',
      action: ['clear', {what: pin.host}],
    })),
    ...targets.flatMap(target =>
      target.endpoints
        .filter(endpoint => endpoint.state === 'ejected by hand')
        .map(({address}) => ({
          text: `${target.name}@${address} is ejected`,
          label: 'Return',
          action: ['return', {place: `${target.name}@${address}`}],
        })),
    ),
  ]
}
