/* Unpack the columns that report_columns.py packed. */

async function unpackColumns(payload) {
  const text = atob(payload.blob);
  const packed = new Uint8Array(text.length);
  for (let i = 0; i < text.length; i++) packed[i] = text.charCodeAt(i);
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  const planes = new Uint8Array(await new Response(stream).arrayBuffer());
  return replaceColumns(payload, planes);
}

function replaceColumns(value, planes) {
  if (Array.isArray(value)) return value.map((item) => replaceColumns(item, planes));
  if (value === null || typeof value !== "object") return value;
  if ("o" in value && "w" in value) return readColumn(value, planes);
  return Object.fromEntries(
    Object.entries(value).map(([key, item]) => [key, replaceColumns(item, planes)]),
  );
}

function readColumn({ o, w, n, d }, planes) {
  const out = new Float64Array(n);
  const scale = 10 ** d;
  let sum = 0;
  for (let i = 0; i < n; i++) {
    let code = 0;
    for (let plane = w - 1; plane >= 0; plane--) code = code * 256 + planes[o + plane * n + i];
    sum += code % 2 === 0 ? code / 2 : -(code + 1) / 2;
    out[i] = sum / scale;
  }
  return out;
}
