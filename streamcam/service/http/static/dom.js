// Makes and updates elements. Text is always set as text, so nothing that comes from outside can
// become markup, and what would reverse or hide a part of it is shown as an escape.

// As in streamcam/escapes.py, but for line breaks, which are blanks in a page.
const ACTING = /[\u0000-\u0008\u000b-\u001f\u007f-\u009f\u061c\u200e\u200f\u2028-\u202e\u2066-\u2069]/g;

export function printable(text) {
  return String(text ?? "").replace(
    ACTING,
    (found) => `\\u${found.charCodeAt(0).toString(16).padStart(4, "0")}`,
  );
}

/** Make an element. `attributes` go by name, `on…` are listeners; null and false leave one out. */
export function el(tag, attributes = {}, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) {
    if (name.startsWith("on")) element.addEventListener(name.slice(2), value);
    else if (value !== null && value !== false)
      element.setAttribute(name, value === true ? "" : printable(value));
  }
  const shown = children.filter((child) => child !== null);
  element.append(...shown.map((child) => (child instanceof Node ? child : printable(child))));
  return element;
}

/** The same of an SVG element; its text is set as text too. */
export function svg(tag, attributes, ...children) {
  const element = document.createElementNS("http://www.w3.org/2000/svg", tag);
  for (const [name, value] of Object.entries(attributes))
    if (value !== null) element.setAttribute(name, printable(value));
  element.append(...children.map((child) => (child instanceof Node ? child : printable(child))));
  return element;
}

/** Set an element's text if it differs, so that selections and screen readers are not disturbed. */
export function say(element, text) {
  const shown = printable(text);
  if (element.textContent !== shown) element.textContent = shown;
}

/** Set an attribute where it differs. */
export function mark(element, name, value) {
  const shown = printable(value);
  if (element.getAttribute(name) !== shown) element.setAttribute(name, shown);
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
