/**
 * Named events and their listeners.
 *
 * `dispatch` is local: it calls listeners and sends nothing. `emit` is left free, because on a
 * Socket it means "send to the server".
 */
export class Emitter {
  #listeners = new Map();

  on(event, listener) {
    if (!this.#listeners.has(event)) this.#listeners.set(event, []);
    this.#listeners.get(event).push(listener);
    return this;
  }

  once(event, listener) {
    const first = (...args) => {
      this.off(event, first);
      listener(...args);
    };
    first.listener = listener;
    return this.on(event, first);
  }

  /** `off()` forgets every listener, `off(event)` those of one event, else the one given. */
  off(event, listener) {
    if (event === undefined) this.#listeners.clear();
    else if (listener === undefined) this.#listeners.delete(event);
    else {
      // A new array: a listener may leave while its event is being dispatched.
      const kept = this.#listeners.get(event)?.filter((l) => l !== listener && l.listener !== listener);
      if (kept) this.#listeners.set(event, kept);
    }
    return this;
  }

  dispatch(event, ...args) {
    for (const listener of [...(this.#listeners.get(event) ?? [])]) guard(listener, args);
    return this;
  }
}

/** Calls what the application gave us. Its mistakes are reported as its own (uncaught) and never
 *  unwind into the connection that happened to deliver the event. */
export function guard(callback, args) {
  try {
    callback(...args);
  } catch (error) {
    queueMicrotask(() => {
      throw error;
    });
  }
}
