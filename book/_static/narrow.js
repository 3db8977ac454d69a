/* How a figure is laid out on a narrow screen, where its author said nothing: plots that stand side by
   side are stacked, the legend and colour bar go below, long titles are broken into lines. */
(() => {
  "use strict";

  const GAP = 70; // pixels between stacked plots
  const LINE = 37; // characters that fit into a title's line

  const domain = (axis) => (axis && axis.domain) || [0, 1];
  const same = (a, b) => Math.abs(a[0] - b[0]) < 0.01 && Math.abs(a[1] - b[1]) < 0.01;
  const near = (value, wanted) => Math.abs(value - wanted) < 0.06;

  /** Plots of a layout: their keys and the part of the figure that each takes. */
  function plotsOf(layout) {
    const plots = [];
    for (const [key, value] of Object.entries(layout)) {
      const number = (key.match(/^(?:xaxis|scene)(\d*)$/) || [])[1];
      if (number === undefined) continue;
      if (key.startsWith("scene")) {
        const own = value.domain || {};
        plots.push({ scene: key, x: own.x || [0, 1], y: own.y || [0, 1] });
      } else if (layout[`yaxis${number}`]) {
        const y = `yaxis${number}`;
        plots.push({ xaxis: key, yaxis: y, x: domain(value), y: domain(layout[y]) });
      }
    }
    return plots.sort((a, b) => a.x[0] - b.x[0]);
  }

  const standSideBySide = (plots) =>
    plots.length > 1 && plots.every((plot) => same(plot.y, plots[0].y)) &&
    plots.every((plot, i) => i === 0 || plot.x[0] >= plots[i - 1].x[1]);

  function place(layout, plot, y) {
    if (plot.scene) {
      layout[plot.scene] = { ...layout[plot.scene], domain: { x: [0, 1], y } };
      return;
    }
    const matched = (layout[plot.yaxis].matches || "").replace("y", "yaxis");
    const labels = matched && (layout[matched] || {}).showticklabels !== false;
    layout[plot.xaxis] = { ...layout[plot.xaxis], domain: [0, 1] };
    layout[plot.yaxis] = { ...layout[plot.yaxis], domain: y, ...(labels && { showticklabels: true }) };
    delete layout[plot.yaxis].scaleanchor;
    delete layout[plot.xaxis].scaleanchor;
  }

  /** A heading over a plot follows it. */
  function headingOf(annotation, plot) {
    const paper = annotation.xref === "paper" && annotation.yref === "paper";
    return paper && near(annotation.x, (plot.x[0] + plot.x[1]) / 2) && near(annotation.y, plot.y[1]);
  }

  function stacked(layout, plots, width) {
    const margin = { t: 80, b: 80, ...(layout.margin || {}) };
    const side = width - 70; // a plot becomes about as high as it is wide
    const inner = plots.length * side + (plots.length - 1) * GAP;
    const result = { ...layout, height: inner + margin.t + margin.b };
    const top = (i) => 1 - (i * (side + GAP)) / inner;
    plots.forEach((plot, i) => place(result, plot, [Math.max(0, top(i) - side / inner), top(i)]));
    const annotations = (layout.annotations || []).map((entry) => {
      const i = plots.findIndex((plot) => headingOf(entry, plot));
      return i < 0 ? entry : { ...entry, x: 0.5, y: top(i), yanchor: "bottom" };
    });
    return { ...result, annotations };
  }

  function broken(text) {
    const lines = [""];
    for (const word of text.split(" ")) {
      const line = lines[lines.length - 1];
      if (line && (line + word).length > LINE) lines.push(word);
      else lines[lines.length - 1] = line ? `${line} ${word}` : word;
    }
    return lines.join("<br>");
  }

  function titled(layout) {
    const title = typeof layout.title === "string" ? { text: layout.title } : layout.title;
    if (!title || !title.text || title.text.includes("<br>")) return layout;
    return { ...layout, title: { ...title, text: broken(title.text) } };
  }

  function barsBelow(layout) {
    const result = { ...layout };
    for (const key of Object.keys(layout).filter((name) => /^coloraxis\d*$/.test(name))) {
      const bar = { ...(layout[key].colorbar || {}), orientation: "h", thickness: 12, len: 1 };
      Object.assign(bar, { x: 0.5, xanchor: "center", y: 0, yanchor: "bottom", yref: "container" });
      result[key] = { ...layout[key], colorbar: bar };
    }
    return result;
  }

  /** Below the plot, unless sliders stand there. */
  function legendOf(layout) {
    const above = (layout.sliders || []).length > 0;
    const place = above ? { y: 1, yanchor: "bottom" } : { y: -0.18, yanchor: "top" };
    return { ...(layout.legend || {}), orientation: "h", x: 0, xanchor: "left", ...place };
  }

  /** Menus that stand where the plot begins are moved to the screen's edge: labels are long. */
  window.sgNarrowMenus = (menus) => (menus || []).map((menu) => ({
    ...menu, x: menu.x || -0.14, font: { ...(menu.font || {}), size: 12 },
  }));

  window.sgNarrow = (layout, width) => {
    const plots = plotsOf(layout);
    const base = titled(barsBelow(layout));
    const result = standSideBySide(plots) ? stacked(base, plots, width) : base;
    const margin = { ...(result.margin || {}), l: 48, r: 16 };
    return { ...result, margin, legend: legendOf(layout) };
  };
})();
