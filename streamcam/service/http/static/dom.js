// Makes and updates elements. Text is always set as text, so nothing that comes from outside can
// become markup.

/** Make an element. `attributes` go by name, `on…` are listeners; null and false leave one out. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false) element.setAttribute(name, value === true ? "" : value);
  }
  element.append(...children.filter((child) => child !== null));
  return element;
}

/** Set an element's text if it differs, so that selections and screen readers are not disturbed. */
export function say(element, text) {
  if (element.textContent !== text) element.textContent = text;
}

/** Set an attribute where it differs. */
export function mark(element, name, value) {
  if (element.getAttribute(name) !== value) element.setAttribute(name, value);
}

/** Elements that mirror a list of things; an element is reused while its key exists. */
export class Keyed {
  constructor(parent, make) {
    this.parent = parent;
    this.make = make;
    this.items = new Map();
  }

  /** `things` is an array of [key, thing]; `make(key)` returns {root, update, remove?}. */
  update(things) {
    const keys = new Set(things.map(([key]) => key));
    for (const [key, item] of this.items) {
      if (keys.has(key)) continue;
      item.root.remove();
      item.remove?.();
      this.items.delete(key);
    }
    let before = this.parent.firstElementChild;
    for (const [key, thing] of things) {
      if (!this.items.has(key)) this.items.set(key, this.make(key));
      const item = this.items.get(key);
      if (item.root === before) before = before.nextElementSibling;
      else this.parent.insertBefore(item.root, before);
      item.update(thing);
    }
  }

  clear() {
    this.update([]);
  }
}
