// Storage in memory, where a browser gives a page inside of another page none: Gradio asks for it
// unguarded while it builds the page, which then sometimes stays at "Loading...". The page works as with
// storage, but nothing is kept for the next visit.
(() => {
  const inMemory = () => {
    const kept = new Map();
    return {
      get length() { return kept.size; },
      key: (index) => [...kept.keys()][index] ?? null,
      getItem: (key) => kept.get(String(key)) ?? null,
      setItem: (key, value) => { kept.set(String(key), String(value)); },
      removeItem: (key) => { kept.delete(String(key)); },
      clear: () => kept.clear(),
    };
  };
  for (const name of ["localStorage", "sessionStorage"]) {
    try {
      window[name].length;
    } catch {
      Object.defineProperty(window, name, { value: inMemory(), configurable: true });
    }
  }
})();
