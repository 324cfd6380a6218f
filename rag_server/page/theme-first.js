// Runs before anything is painted, so that a chosen theme does not flash in; theme.js has the button.
try {
  document.documentElement.dataset.theme = localStorage.getItem("theme") ?? "system";
} catch {
  document.documentElement.dataset.theme = "system"; // storage is switched off
}
