// The shown rows as a file.
import { make } from "./element.js";

const FIELDS = ["tenant", "action", "limit", "used", "effective", "quota", "remaining", "full_in_s", "next_unit_s", "refused_15m", "shadow_15m", "state"];

function quoted(value) {
  const text = String(value ?? "");
  // A spreadsheet would run a cell that begins like a formula.
  const safe = /^[=+\-@\t\r]/.test(text) && Number.isNaN(Number(text)) ? `'${text}` : text;
  return `"${safe.replaceAll('"', '""')}"`;
}

export function toCsv(rows) {
  return [FIELDS, ...rows.map((row) => FIELDS.map((field) => row[field]))].map((line) => line.map(quoted).join(",")).join("\r\n");
}

export function download(rows) {
  const url = URL.createObjectURL(new Blob([`${toCsv(rows)}\r\n`], { type: "text/csv" }));
  make("a", { href: url, download: `limits-${new Date().toISOString().slice(0, 16).replace(":", "")}.csv` }).click();
  setTimeout(() => URL.revokeObjectURL(url), 1_000);
}
