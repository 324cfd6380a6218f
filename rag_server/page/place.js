// A place in the code: a file at a commit and its lines. As an address after # it can be shared and opened again.

export function hashOfPlace({ repo, commit, file_path: path, line_start: start, line_end: end }) {
  return "#/" + [repo, commit, `${start}-${end}`, ...path.split("/")].map(encodeURIComponent).join("/");
}

export function placeFromHash(hash) {
  const parts = hash.split("/");
  if (parts.length < 5 || parts[0] !== "#") return null;
  try {
    const [repo, commit, lines, ...path] = parts.slice(1).map(decodeURIComponent);
    const [start, end] = lines.split("-").map(Number);
    return start >= 1 && end >= start ? { repo, commit, file_path: path.join("/"), line_start: start, line_end: end } : null;
  } catch {
    return null; // an escape sequence that is none
  }
}

export function lineRange({ line_start: start, line_end: end }) {
  return start === end ? `${start}` : `${start}–${end}`;
}

export function nameOfPlace({ file_path: path, line_start: start, line_end: end }) {
  return start === end ? `${path}:${start}` : `${path}:${start}-${end}`;
}
