// Colours, and pixels on a canvas.

// Colour maps: every 15th entry of matplotlib's, interpolated linearly.
const anchors = {
  inferno: "000004 0a0722 1e0c45 380962 510e6c 69166e 801f6c 982766 b0315b c63d4d d94d3d e9612b f47918 fa9407 fcb014 f8cd37 f2ea69 fcffa4",
  viridis: "440154 481769 472a7a 433d84 3d4e8a 355e8d 2e6d8e 297b8e 23898e 1f978b 21a585 2eb37c 46c06f 65cb5e 89d548 b0dd2f d8e219 fde725",
  jet: "000080 0000c4 0000ff 0034ff 0070ff 00acff 02e8f4 33ffc4 63ff94 94ff63 c4ff33 f4f802 ffc100 ff8900 ff5200 ff1a00 c40000 800000",
};
const lookup = Object.fromEntries(Object.entries(anchors).map(([name, text]) => {
  const stops = text.split(" ").map((hex) => rgb("#" + hex)), table = new Uint8Array(256 * 3);
  for (let i = 0; i < 256; i++) {
    const x = (i / 255) * (stops.length - 1), low = Math.min(Math.floor(x), stops.length - 2);
    for (let c = 0; c < 3; c++) table[3 * i + c] = Math.round(stops[low][c] + (x - low) * (stops[low + 1][c] - stops[low][c]));
  }
  return [name, table];
}));

function rgb(hex) {
  return [1, 3, 5].map((i) => parseInt(hex.slice(i, i + 2), 16));
}

const variable = (name) => rgb(getComputedStyle(document.documentElement).getPropertyValue(name).trim());
const mixed = (from, to, share) => from.map((value, c) => Math.round(value + (to[c] - value) * Math.min(Math.max(share, 0), 1)));

function paint(canvas, width, height, colour) {
  if (canvas.width !== width) canvas.width = width;
  if (canvas.height !== height) canvas.height = height;
  const context = canvas.getContext("2d"), pixels = context.createImageData(width, height);
  for (let i = 0; i < width * height; i++) {
    const [r, g, b] = colour(i);
    pixels.data.set([r, g, b, 255], 4 * i);
  }
  context.putImageData(pixels, 0, 0);
}

function imageColour(image) {
  const raw = bytes(image), plane = image.shape[1] * image.shape[2], step = image.shape[0] === 3 ? plane : 0;
  return (i) => [raw[i], raw[i + step], raw[i + 2 * step]];
}

function shade(table, share) {
  const at = 3 * Math.round(255 * Math.min(Math.max(share, 0), 1));
  return [table[at], table[at + 1], table[at + 2]];
}

// Bilinear with pixel centres at half integers, as in neurosam.explain.maps.upsample; or nearest neighbour.
function resized({ values, height, width }, rows, columns, smooth) {
  const axis = (from, to) => Array.from({ length: to }, (_, i) => {
    if (!smooth) return [Math.floor(i * from / to), 0, 0];
    const centre = Math.max((i + 0.5) * from / to - 0.5, 0), low = Math.min(Math.floor(centre), from - 1);
    return [low, Math.min(low + 1, from - 1), centre - low];
  });
  const down = axis(height, rows), across = axis(width, columns), out = new Float64Array(rows * columns);
  for (let y = 0, i = 0; y < rows; y++) {
    const [y0, y1, py] = down[y];
    for (let x = 0; x < columns; x++, i++) {
      const [x0, x1, px] = across[x];
      out[i] = (values[y0 * width + x0] * (1 - px) + values[y0 * width + x1] * px) * (1 - py)
        + (values[y1 * width + x0] * (1 - px) + values[y1 * width + x1] * px) * py;
    }
  }
  return out;
}
